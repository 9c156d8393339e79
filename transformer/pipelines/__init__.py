"""Text in, text out: the only package that knows both loaded models and lines of text."""
