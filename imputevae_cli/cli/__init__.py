"""The command line: a module for each subcommand, which makes one call of the API, and what all of them share."""
