"""Usage: wait.py NODE HEIGHT. It ends when the safe head of the node has reached the height, and prints its hash."""
import json
import sys
import urllib.request

node, height = sys.argv[1:]
with urllib.request.urlopen(f"{node}/v1/wait?height={height}&timeout=1m", timeout=70) as answer:
    block = json.load(answer)["block"]
print(block["height"], block["hash"])
