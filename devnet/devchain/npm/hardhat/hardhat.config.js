const interval = Number(process.env.HEADRACE_INTERVAL);
export default {
  networks: {
    node: {
      type: "edr-simulated",
      chainId: 31337,
      mining: interval > 0 ? { auto: false, interval: interval * 1000 } : { auto: true },
    },
  },
};
