"""What an operator does with a stack: deploy it, take it down, roll it back, read its log.

It must never launch or terminate an instance, and never write what `muster` or a Lambda writes: groups are made and removed by
`muster group`, which is called. Start reading in `deploy.py`; each other module is one thing that it stands on.
"""
