"""Many runs: every combination of some settings, or draws of them, each with several seeds.

Read `driver.py` first. `settings.py` reads the file of a sweep, `points.py` turns it into configs;
`executor.py` lets workers train them; `results.py` says what came out.
"""
