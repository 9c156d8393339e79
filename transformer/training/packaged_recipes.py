"""The recipes that come along, by name: settings for public data that reach published figures."""

from pathlib import Path

from ..errors import ConfigError
from ..registry import suggest

_FOLDER = Path(__file__).parent / "recipes"


def recipe_names() -> list[str]:
    """Return the names of the recipes that come along."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def recipe_file(recipe: Path) -> Path:
    """Return the file of a recipe that is named by its path, or as one that comes along.

    Raises ConfigError for a name that is neither.
    """
    name = recipe.name.removesuffix(".toml")
    if recipe.exists() and not recipe.is_dir():
        return recipe
    if recipe.parent == Path() and name in recipe_names():
        return _FOLDER / f"{name}.toml"
    if recipe.parent != Path() or recipe.suffix or recipe.exists():
        return recipe  # reading it says what is wrong
    raise ConfigError(
        f"there is no file {recipe}, and no recipe of that name comes along; "
        f"{suggest(name, recipe_names())}"
    )
