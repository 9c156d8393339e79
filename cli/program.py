"""The entry of the program `transduce`, which answers to Ctrl-C before it imports the rest."""

from .interrupts import exit_on_interrupt

exit_on_interrupt()


def main() -> None:
    """Run the program `transduce`."""
    from .app import main as run

    run()
