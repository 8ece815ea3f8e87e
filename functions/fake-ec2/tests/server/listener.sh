#!/bin/sh
# In an agent's place: says that it listens, and writes down what it is told, beside the name that it was called by.
echo "listening $2"
exec cat > "$0.$2"
