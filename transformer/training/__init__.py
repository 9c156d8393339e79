"""Training: recipes, objectives, schedules, optimizers, the trainer and the run."""
