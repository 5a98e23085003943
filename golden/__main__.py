from golden.cli import main

main(prog_name="golden")
