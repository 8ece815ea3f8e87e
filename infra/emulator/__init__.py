"""Muster as it is deployed, against an emulator of AWS on this machine: ministack, and an EC2 of our own with live agents.

The templates, the bootstraps and the commands are the real ones. It must never reach anything but loopback, nor hold a second version of anything
that is deployed: what a deployment does, infra/operate does. Start reading in `world.py`.
"""
