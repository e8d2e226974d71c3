// Compiles Inbox.sol with the npm package `solc` and writes the artifact, as JSON, to standard output.
// Usage: node compile.js DIRECTORY_WITH_node_modules
const fs = require('fs');
const path = require('path');
const solc = require(path.resolve(process.argv[2], 'node_modules/solc'));

const input = {
  language: 'Solidity',
  sources: { 'Inbox.sol': { content: fs.readFileSync(path.join(__dirname, 'Inbox.sol'), 'utf8') } },
  settings: {
    evmVersion: 'cancun', // the first with blobhash
    optimizer: { enabled: true, runs: 10000 },
    viaIR: true,
    outputSelection: { '*': { Inbox: ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object', 'metadata'] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
const problems = output.errors || [];
if (problems.length > 0) {
  problems.forEach((e) => console.error(e.formattedMessage));
  process.exit(1); // warnings too: there are none
}
const inbox = output.contracts['Inbox.sol'].Inbox;
const artifact = {
  compiler: solc.version(),
  abi: inbox.abi,
  bytecode: '0x' + inbox.evm.bytecode.object,
  deployedBytecode: '0x' + inbox.evm.deployedBytecode.object,
  metadata: inbox.metadata,
};
process.stdout.write(JSON.stringify(artifact, null, 1) + '\n');
