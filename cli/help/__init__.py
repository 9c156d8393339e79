"""Help pages and completion: what the parser knows, shown to people and to shells."""
