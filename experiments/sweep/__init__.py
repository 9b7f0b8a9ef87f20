"""Many runs as one job: a plan, what is done of it, runners that carry it out, and the record of how it went."""
