// Ganache's own command takes no port 0, which is one that the system chooses.
const ganache = require("ganache");
const server = ganache.server({
  wallet: { mnemonic: "test test test test test test test test test test test junk" },
  miner: { blockTime: Number(process.env.HEADRACE_INTERVAL) },
  logging: { quiet: true },
});
server.listen(0, "127.0.0.1").then(() => console.log(`Listening on 127.0.0.1:${server.address().port}`));
