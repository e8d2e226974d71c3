// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Inbox: where a rollup's blocks are posted.
/// @notice Each proposal has an id, one above the last; the first is 1. A proposal names the rollup block that it builds on and where its content
/// is: in the call data of the very transaction, or in its blobs. The contract never looks into the content. Whoever follows the chain does, and
/// passes over a proposal whose content is no good: its id is used up, and no block is made.
///
/// Rules kept here, for every reader alike:
///  - only proposers named by the owner propose, and there is at most one proposal in an L1 block, so that an L1 block names at most one;
///  - proposals are hash-linked: a proposer says on which one it builds, and a transaction that comes too late, or on another fork, reverts;
///  - anybody may queue content. A proposer takes items from the head of the queue; it must take those that have waited for `forcedDelay` seconds,
///    up to `forcedMax` of them in one proposal, else its transaction reverts.
contract Inbox {
    /// @notice Where content is. Either dataHash is set (keccak256 of the `data` argument of the transaction), or blobHashes is not empty.
    struct Source {
        bool forced; // taken from the queue
        uint64 index; // its place in the queue; 0 if not forced
        uint64 blockNumber; // of the L1 block with the transaction that carries the content
        uint64 timestamp; // of that block
        uint32 offset; // in bytes, of the content within the blobs
        bytes32 dataHash;
        bytes32[] blobHashes; // EIP-4844 versioned hashes
    }

    struct CoreState {
        uint64 nextId; // of the next proposal
        uint64 lastBlock; // L1 block of the last proposal
        uint64 finalizedId; // the last proven proposal
        uint64 forcedHead; // the queue is [forcedHead, forcedTail)
        uint64 forcedTail;
        bytes32 lastProposal; // hash of the last proposal; zero before the first
        bytes32 finalizedHash; // rollup block hash after the last proven proposal
    }

    event Proposed(uint64 indexed id, address indexed proposer, bytes32 parentHash, Source[] sources);
    event ForcedQueued(uint64 indexed index, address indexed sender, Source source);
    event Proved(uint64 indexed id, bytes32 blockHash);
    event ProposerSet(address indexed proposer, bool allowed);
    event OwnerSet(address indexed owner);

    error NotOwner();
    error NotProposer();
    error StaleParent(bytes32 lastProposal);
    error OnePerBlock();
    error ForcedDue(uint256 due);
    error ForcedTooMany(uint256 available);
    error NoContent();
    error ContentTooBig();
    error BadProof();
    error BadSetting();

    /// @notice Bytes of call data that one forced item may have.
    uint256 public constant FORCED_DATA_MAX = 32768;

    /// @notice Seconds after which an item of the queue is due.
    uint64 public immutable forcedDelay;
    /// @notice Items of the queue that one proposal takes at most.
    uint16 public immutable forcedMax;

    address public owner;
    mapping(address => bool) public isProposer;
    mapping(uint64 => bytes32) private proposals;
    mapping(uint64 => Source) private queue;
    CoreState private core;

    constructor(address owner_, uint64 forcedDelay_, uint16 forcedMax_, address[] memory proposers) {
        if (owner_ == address(0) || forcedMax_ == 0) revert BadSetting();
        owner = owner_;
        forcedDelay = forcedDelay_;
        forcedMax = forcedMax_;
        core.nextId = 1;
        emit OwnerSet(owner_);
        for (uint256 i = 0; i < proposers.length; i++) {
            isProposer[proposers[i]] = true;
            emit ProposerSet(proposers[i], true);
        }
    }

    modifier onlyOwner() {
        if (msg.sender != owner) revert NotOwner();
        _;
    }

    function setOwner(address owner_) external onlyOwner {
        if (owner_ == address(0)) revert BadSetting();
        owner = owner_;
        emit OwnerSet(owner_);
    }

    function setProposer(address proposer, bool allowed) external onlyOwner {
        isProposer[proposer] = allowed;
        emit ProposerSet(proposer, allowed);
    }

    /// @notice Proposes blocks whose content is `data`. Readers find it in the input of the transaction, so only a direct call has content.
    /// @param parentProposal hash of the last proposal; zero before the first
    /// @param parentHash rollup block that the first of the blocks builds on
    /// @param forcedCount items taken from the queue; the blocks include them
    function propose(bytes32 parentProposal, bytes32 parentHash, uint16 forcedCount, bytes calldata data)
        external
        returns (uint64 id)
    {
        return record(parentProposal, parentHash, forcedCount, fromData(data));
    }

    /// @notice Proposes blocks whose content is in the blobs of this transaction, all of them, from `offset` on.
    function proposeBlobs(bytes32 parentProposal, bytes32 parentHash, uint16 forcedCount, uint32 offset)
        external
        returns (uint64 id)
    {
        return record(parentProposal, parentHash, forcedCount, fromBlobs(offset));
    }

    /// @notice Queues content for inclusion: anybody may. Like `propose`, only a direct call has content. It is never in blobs, which not every node reads and which are
    /// gone after some weeks.
    function force(bytes calldata data) external returns (uint64 index) {
        if (data.length > FORCED_DATA_MAX) revert ContentTooBig();
        return enqueue(fromData(data));
    }

    /// @notice Declares the blocks up to proposal `id` proven. Stands in for a proof system.
    function finalize(uint64 id, bytes32 blockHash) external onlyOwner {
        if (id <= core.finalizedId || id >= core.nextId) revert BadProof();
        core.finalizedId = id;
        core.finalizedHash = blockHash;
        emit Proved(id, blockHash);
    }

    function getCoreState() external view returns (CoreState memory) {
        return core;
    }

    /// @notice Hash of a proposal; zero if there is none with this id.
    function getProposalHash(uint64 id) external view returns (bytes32) {
        return proposals[id];
    }

    /// @notice An item of the queue, taken or not; its blockNumber is 0 if there is none with this index.
    function getForced(uint64 index) external view returns (Source memory) {
        return queue[index];
    }

    /// @notice How many items a proposal in a block of this time must take at least.
    function forcedDue() public view returns (uint256 due) {
        uint64 head = core.forcedHead;
        uint64 tail = core.forcedTail;
        while (due < forcedMax && head + due < tail) {
            if (queue[uint64(head + due)].timestamp + forcedDelay > block.timestamp) break;
            due++;
        }
    }

    function record(bytes32 parentProposal, bytes32 parentHash, uint16 forcedCount, Source memory own)
        private
        returns (uint64 id)
    {
        if (!isProposer[msg.sender]) revert NotProposer();
        if (parentProposal != core.lastProposal) revert StaleParent(core.lastProposal);
        if (core.lastBlock == block.number) revert OnePerBlock();
        Source[] memory sources = take(forcedCount);
        sources[forcedCount] = own;

        id = core.nextId++;
        bytes32 hash = keccak256(abi.encode(id, msg.sender, parentProposal, parentHash, sources));
        proposals[id] = hash;
        core.lastProposal = hash;
        core.lastBlock = uint64(block.number);
        emit Proposed(id, msg.sender, parentHash, sources);
    }

    /// @dev Takes `count` items from the queue and leaves room for one more source.
    function take(uint16 count) private returns (Source[] memory sources) {
        uint256 due = forcedDue();
        if (count < due) revert ForcedDue(due);
        uint64 head = core.forcedHead;
        uint256 available = core.forcedTail - head;
        if (available > forcedMax) available = forcedMax;
        if (count > available) revert ForcedTooMany(available);
        sources = new Source[](uint256(count) + 1);
        for (uint16 i = 0; i < count; i++) {
            sources[i] = queue[head + i];
        }
        core.forcedHead = head + count;
    }

    function enqueue(Source memory source) private returns (uint64 index) {
        index = core.forcedTail++;
        source.forced = true;
        source.index = index;
        queue[index] = source;
        emit ForcedQueued(index, msg.sender, source);
    }

    function here() private view returns (Source memory source) {
        source.blockNumber = uint64(block.number);
        source.timestamp = uint64(block.timestamp);
    }

    function fromData(bytes calldata data) private view returns (Source memory source) {
        if (data.length == 0) revert NoContent();
        source = here();
        source.dataHash = keccak256(data);
    }

    function fromBlobs(uint32 offset) private view returns (Source memory source) {
        uint256 n = 0;
        while (blobhash(n) != 0) n++;
        if (n == 0) revert NoContent();
        source = here();
        source.offset = offset;
        source.blobHashes = new bytes32[](n);
        for (uint256 i = 0; i < n; i++) {
            source.blobHashes[i] = blobhash(i);
        }
    }
}
