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
///    as far as they fit into the room that a proposal has for them, `forcedRoom` bytes, else its transaction reverts;
///  - an item takes its bytes of that room and FORCED_ITEM_BYTES beside them, at most half of the least room. So while more is due than fits, each
///    proposal takes more than half of its room: a due item behind q bytes is in the (1 + q / (forcedRoom - 34303))th proposal from then on, rounded
///    down, at the latest;
///  - the fee of an item grows with what waits before it, as forcedGas says. Who makes q bytes wait has paid for
///    forcedFee * q * (1 + (q - 34304) / (2 * forcedRoom)) gas at least, at the L1's base fee, beside that of the transactions;
///  - what is queued stays as it is: neither its place nor its delay depends on anything that the owner may change.
///
/// This is version 2. Version 1 had room for a number of items, `forcedMax`, and no fee. Both log proposals and items alike: who reads them needs no
/// version.
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

    /// @dev An item of the queue. It is in call data, so there are no blobs.
    struct Item {
        uint64 blockNumber;
        uint64 timestamp;
        uint64 end; // room that it takes, together with all items before it
        bytes32 dataHash;
    }

    /// @dev The queue is [head, tail). The bytes are those of room, of all items since the first: they only grow, and what waits takes the difference.
    struct Queue {
        uint64 head;
        uint64 tail;
        uint64 taken;
        uint64 queued;
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
    event ForcedPaid(uint64 indexed index, uint256 fee);
    event Proved(uint64 indexed id, bytes32 blockHash);
    event ProposerSet(address indexed proposer, bool allowed);
    event OwnerSet(address indexed owner);
    event ForcedFeeSet(uint64 gasPerByte);
    event FeesWithdrawn(address indexed to, uint256 amount);

    error NotOwner();
    error NotProposer();
    error StaleParent(bytes32 lastProposal);
    error OnePerBlock();
    error ForcedDue(uint256 due);
    error ForcedTooMany();
    error FeeTooLow(uint256 fee);
    error NotPaidOut();
    error NoContent();
    error ContentTooBig();
    error BadProof();
    error BadSetting();

    /// @notice Bytes of call data that one forced item may have.
    uint256 public constant FORCED_DATA_MAX = 32768;
    /// @notice Bytes of room that an item takes beside its own. Each may need a rollup block of its own, as one whose transaction asks for all gas of
    /// a block does: this is more than a block takes of a proposal beside its transactions, so what takes so much room fits.
    uint256 public constant FORCED_ITEM_BYTES = 1536;
    /// @notice Bounds of forcedRoom: twice the room of the largest item, and eight times. 178 items at most fit into that, so a proposal can always
    /// take all that it must within the gas that one transaction may use (16,777,216, EIP-7825).
    uint256 public constant FORCED_ROOM_MIN = 2 * (FORCED_DATA_MAX + FORCED_ITEM_BYTES);
    uint256 public constant FORCED_ROOM_MAX = 8 * (FORCED_DATA_MAX + FORCED_ITEM_BYTES);
    /// @notice Bound of forcedFee: there is a price beyond which no owner can put the queue.
    uint64 public constant FORCED_FEE_MAX = 1000;
    /// @notice Bound of forcedDelay, in seconds.
    uint64 public constant FORCED_DELAY_MAX = 365 days;

    /// @notice Seconds after which an item of the queue is due.
    uint64 public immutable forcedDelay;
    /// @notice Bytes of room that the items which one proposal takes have at most.
    uint32 public immutable forcedRoom;

    address public owner;
    /// @notice Gas that is to be paid for at the L1's base fee, for each byte of room that an item takes while nothing waits. 0: there is no fee.
    uint64 public forcedFee;
    mapping(address => bool) public isProposer;
    mapping(uint64 => bytes32) private proposals;
    mapping(uint64 => Item) private items;
    Queue private queue;
    CoreState private core; // without the queue, which is in `queue`

    constructor(address owner_, uint64 forcedDelay_, uint32 forcedRoom_, uint64 forcedFee_, address[] memory proposers) {
        if (owner_ == address(0) || forcedDelay_ > FORCED_DELAY_MAX) revert BadSetting();
        if (forcedRoom_ < FORCED_ROOM_MIN || forcedRoom_ > FORCED_ROOM_MAX) revert BadSetting();
        owner = owner_;
        forcedDelay = forcedDelay_;
        forcedRoom = forcedRoom_;
        core.nextId = 1;
        emit OwnerSet(owner_);
        changeFee(forcedFee_);
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

    /// @notice Sets the fee of items that are queued from now on. Those that wait have paid, and are taken as before.
    function setForcedFee(uint64 gasPerByte) external onlyOwner {
        changeFee(gasPerByte);
    }

    /// @notice Pays out what fees have brought: all that the contract has.
    function withdraw(address to) external onlyOwner {
        if (to == address(0)) revert BadSetting();
        uint256 amount = address(this).balance;
        emit FeesWithdrawn(to, amount);
        pay(to, amount);
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

    /// @notice Queues content for inclusion: anybody may, who pays forcedGas(data.length) times the L1's base fee. What comes with the transaction
    /// beyond that goes back to the caller. Like `propose`, only a direct call has content. It is never in blobs, which not every node reads and
    /// which are gone after some weeks.
    function force(bytes calldata data) external payable returns (uint64 index) {
        if (data.length > FORCED_DATA_MAX) revert ContentTooBig();
        Source memory source = fromData(data);
        uint256 fee = forcedGas(data.length) * block.basefee;
        if (msg.value < fee) revert FeeTooLow(fee);

        index = queue.tail;
        uint64 end = queue.queued + uint64(FORCED_ITEM_BYTES + data.length);
        (queue.tail, queue.queued) = (index + 1, end);
        items[index] = Item(source.blockNumber, source.timestamp, end, source.dataHash);
        source.forced = true;
        source.index = index;
        emit ForcedQueued(index, msg.sender, source);
        if (fee > 0) emit ForcedPaid(index, fee);
        if (msg.value > fee) pay(msg.sender, msg.value - fee); // the last thing: nothing is half done when the caller's code runs
    }

    /// @notice Declares the blocks up to proposal `id` proven. Stands in for a proof system.
    function finalize(uint64 id, bytes32 blockHash) external onlyOwner {
        if (id <= core.finalizedId || id >= core.nextId) revert BadProof();
        core.finalizedId = id;
        core.finalizedHash = blockHash;
        emit Proved(id, blockHash);
    }

    function version() external pure returns (uint256) {
        return 2;
    }

    function getCoreState() external view returns (CoreState memory state) {
        state = core;
        (state.forcedHead, state.forcedTail) = (queue.head, queue.tail);
    }

    /// @notice Hash of a proposal; zero if there is none with this id.
    function getProposalHash(uint64 id) external view returns (bytes32) {
        return proposals[id];
    }

    /// @notice An item of the queue, taken or not; its blockNumber is 0 if there is none with this index.
    function getForced(uint64 index) external view returns (Source memory source) {
        if (index < queue.tail) source = forcedSource(index);
    }

    /// @notice Items of the queue, taken or not, from one on, at most `limit` of them; and how many bytes of room each takes.
    function getForcedItems(uint64 from, uint256 limit) external view returns (Source[] memory sources, uint256[] memory room) {
        uint256 n = from < queue.tail ? queue.tail - from : 0;
        if (n > limit) n = limit;
        (sources, room) = (new Source[](n), new uint256[](n));
        uint64 before = from == 0 ? 0 : items[from - 1].end;
        for (uint64 i = 0; i < n; i++) {
            sources[i] = forcedSource(from + i);
            uint64 end = items[from + i].end;
            room[i] = end - before;
            before = end;
        }
    }

    /// @notice Bytes of room that the items which wait take together.
    function forcedWaiting() public view returns (uint256) {
        return queue.queued - queue.taken;
    }

    /// @notice How much gas is to be paid for, at the L1's base fee, by who queues an item of `length` bytes now, beside that of the transaction:
    /// forcedFee for each byte of room that it takes, once, and once more for each room that waits before it, in proportion and rounded up.
    function forcedGas(uint256 length) public view returns (uint256) {
        uint256 room = forcedRoom;
        return (forcedFee * (FORCED_ITEM_BYTES + length) * (room + forcedWaiting()) + room - 1) / room;
    }

    /// @notice How many items a proposal in a block of this time must take at least.
    function forcedDue() public view returns (uint256 due) {
        Queue memory q = queue;
        uint256 limit = uint256(q.taken) + forcedRoom;
        for (uint64 i = q.head; i < q.tail; i++) {
            Item storage item = items[i];
            if (item.end > limit || uint256(item.timestamp) + forcedDelay > block.timestamp) break;
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
        sources = new Source[](uint256(count) + 1);
        if (count == 0) return sources;
        Queue memory q = queue;
        if (count > q.tail - q.head) revert ForcedTooMany();
        uint64 end = items[q.head + count - 1].end;
        if (end - q.taken > forcedRoom) revert ForcedTooMany();
        for (uint16 i = 0; i < count; i++) {
            sources[i] = forcedSource(q.head + i);
        }
        (queue.head, queue.taken) = (q.head + count, end);
    }

    function forcedSource(uint64 index) private view returns (Source memory source) {
        Item storage item = items[index];
        source.forced = true;
        source.index = index;
        source.blockNumber = item.blockNumber;
        source.timestamp = item.timestamp;
        source.dataHash = item.dataHash;
    }

    function changeFee(uint64 gasPerByte) private {
        if (gasPerByte > FORCED_FEE_MAX) revert BadSetting();
        forcedFee = gasPerByte;
        emit ForcedFeeSet(gasPerByte);
    }

    function pay(address to, uint256 amount) private {
        (bool ok,) = to.call{value: amount}("");
        if (!ok) revert NotPaidOut();
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
