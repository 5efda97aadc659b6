"""`python -m higgs_shop`: the command line."""

from higgs_shop.command_line import main

main()
