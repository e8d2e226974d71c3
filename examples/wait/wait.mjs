// Usage: wait.mjs NODE HEIGHT. It ends when the safe head of the node has reached the height, and prints its hash.
const [node, height] = process.argv.slice(2);
const answer = await fetch(`${node}/v1/wait?height=${height}&timeout=1m`);
const { block, error } = await answer.json();
if (!answer.ok) {
  throw new Error(error);
}
console.log(block.height, block.hash);
