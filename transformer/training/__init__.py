"""Training: recipes, objectives, schedules, the step, the run."""
