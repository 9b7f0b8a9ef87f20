"""From run folders to rows, tables and plots; parse_results.py is the command."""
