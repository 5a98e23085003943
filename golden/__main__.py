"""The command ``golden``, also as ``python -m golden``."""

from golden.interrupts import guard_loading


def main() -> None:
    """Run the command. Signals are handled from the first import on."""
    guard_loading()
    from golden.cli import main as command

    command(prog_name="golden")


if __name__ == "__main__":
    main()
