// Code generated via abigen V2 - DO NOT EDIT.
//lint:file-ignore ST1005 the generator words its errors
// This file is a generated binding and any manual changes will be lost.

package inbox

import (
	"bytes"
	"errors"
	"math/big"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/accounts/abi/bind/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// Reference imports to suppress errors if they are not otherwise used.
var (
	_ = bytes.Equal
	_ = errors.New
	_ = big.NewInt
	_ = common.Big1
	_ = types.BloomLookup
	_ = abi.ConvertType
)

// InboxCoreState is an auto generated low-level Go binding around an user-defined struct.
type InboxCoreState struct {
	NextId        uint64
	LastBlock     uint64
	FinalizedId   uint64
	ForcedHead    uint64
	ForcedTail    uint64
	LastProposal  [32]byte
	FinalizedHash [32]byte
}

// InboxSource is an auto generated low-level Go binding around an user-defined struct.
type InboxSource struct {
	Forced      bool
	Index       uint64
	BlockNumber uint64
	Timestamp   uint64
	Offset      uint32
	DataHash    [32]byte
	BlobHashes  [][32]byte
}

// InboxMetaData contains all meta data concerning the Inbox contract.
var InboxMetaData = bind.MetaData{
	ABI: "[{\"inputs\":[{\"internalType\":\"address\",\"name\":\"owner_\",\"type\":\"address\"},{\"internalType\":\"uint64\",\"name\":\"forcedDelay_\",\"type\":\"uint64\"},{\"internalType\":\"uint32\",\"name\":\"forcedRoom_\",\"type\":\"uint32\"},{\"internalType\":\"uint64\",\"name\":\"forcedFee_\",\"type\":\"uint64\"},{\"internalType\":\"address[]\",\"name\":\"proposers\",\"type\":\"address[]\"}],\"stateMutability\":\"nonpayable\",\"type\":\"constructor\"},{\"inputs\":[],\"name\":\"BadProof\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"BadSetting\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"ContentTooBig\",\"type\":\"error\"},{\"inputs\":[{\"internalType\":\"uint256\",\"name\":\"fee\",\"type\":\"uint256\"}],\"name\":\"FeeTooLow\",\"type\":\"error\"},{\"inputs\":[{\"internalType\":\"uint256\",\"name\":\"due\",\"type\":\"uint256\"}],\"name\":\"ForcedDue\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"ForcedTooMany\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"NoContent\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"NotOwner\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"NotPaidOut\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"NotProposer\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"OnePerBlock\",\"type\":\"error\"},{\"inputs\":[{\"internalType\":\"bytes32\",\"name\":\"lastProposal\",\"type\":\"bytes32\"}],\"name\":\"StaleParent\",\"type\":\"error\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"address\",\"name\":\"to\",\"type\":\"address\"},{\"indexed\":false,\"internalType\":\"uint256\",\"name\":\"amount\",\"type\":\"uint256\"}],\"name\":\"FeesWithdrawn\",\"type\":\"event\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":false,\"internalType\":\"uint64\",\"name\":\"gasPerByte\",\"type\":\"uint64\"}],\"name\":\"ForcedFeeSet\",\"type\":\"event\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"},{\"indexed\":false,\"internalType\":\"uint256\",\"name\":\"fee\",\"type\":\"uint256\"}],\"name\":\"ForcedPaid\",\"type\":\"event\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"},{\"indexed\":true,\"internalType\":\"address\",\"name\":\"sender\",\"type\":\"address\"},{\"components\":[{\"internalType\":\"bool\",\"name\":\"forced\",\"type\":\"bool\"},{\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"blockNumber\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"timestamp\",\"type\":\"uint64\"},{\"internalType\":\"uint32\",\"name\":\"offset\",\"type\":\"uint32\"},{\"internalType\":\"bytes32\",\"name\":\"dataHash\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32[]\",\"name\":\"blobHashes\",\"type\":\"bytes32[]\"}],\"indexed\":false,\"internalType\":\"structInbox.Source\",\"name\":\"source\",\"type\":\"tuple\"}],\"name\":\"ForcedQueued\",\"type\":\"event\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"address\",\"name\":\"owner\",\"type\":\"address\"}],\"name\":\"OwnerSet\",\"type\":\"event\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"uint64\",\"name\":\"id\",\"type\":\"uint64\"},{\"indexed\":true,\"internalType\":\"address\",\"name\":\"proposer\",\"type\":\"address\"},{\"indexed\":false,\"internalType\":\"bytes32\",\"name\":\"parentHash\",\"type\":\"bytes32\"},{\"components\":[{\"internalType\":\"bool\",\"name\":\"forced\",\"type\":\"bool\"},{\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"blockNumber\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"timestamp\",\"type\":\"uint64\"},{\"internalType\":\"uint32\",\"name\":\"offset\",\"type\":\"uint32\"},{\"internalType\":\"bytes32\",\"name\":\"dataHash\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32[]\",\"name\":\"blobHashes\",\"type\":\"bytes32[]\"}],\"indexed\":false,\"internalType\":\"structInbox.Source[]\",\"name\":\"sources\",\"type\":\"tuple[]\"}],\"name\":\"Proposed\",\"type\":\"event\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"address\",\"name\":\"proposer\",\"type\":\"address\"},{\"indexed\":false,\"internalType\":\"bool\",\"name\":\"allowed\",\"type\":\"bool\"}],\"name\":\"ProposerSet\",\"type\":\"event\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"uint64\",\"name\":\"id\",\"type\":\"uint64\"},{\"indexed\":false,\"internalType\":\"bytes32\",\"name\":\"blockHash\",\"type\":\"bytes32\"}],\"name\":\"Proved\",\"type\":\"event\"},{\"inputs\":[],\"name\":\"FORCED_DATA_MAX\",\"outputs\":[{\"internalType\":\"uint256\",\"name\":\"\",\"type\":\"uint256\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"FORCED_DELAY_MAX\",\"outputs\":[{\"internalType\":\"uint64\",\"name\":\"\",\"type\":\"uint64\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"FORCED_FEE_MAX\",\"outputs\":[{\"internalType\":\"uint64\",\"name\":\"\",\"type\":\"uint64\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"FORCED_ITEM_BYTES\",\"outputs\":[{\"internalType\":\"uint256\",\"name\":\"\",\"type\":\"uint256\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"FORCED_ROOM_MAX\",\"outputs\":[{\"internalType\":\"uint256\",\"name\":\"\",\"type\":\"uint256\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"FORCED_ROOM_MIN\",\"outputs\":[{\"internalType\":\"uint256\",\"name\":\"\",\"type\":\"uint256\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"uint64\",\"name\":\"id\",\"type\":\"uint64\"},{\"internalType\":\"bytes32\",\"name\":\"blockHash\",\"type\":\"bytes32\"}],\"name\":\"finalize\",\"outputs\":[],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"bytes\",\"name\":\"data\",\"type\":\"bytes\"}],\"name\":\"force\",\"outputs\":[{\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"}],\"stateMutability\":\"payable\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"forcedDelay\",\"outputs\":[{\"internalType\":\"uint64\",\"name\":\"\",\"type\":\"uint64\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"forcedDue\",\"outputs\":[{\"internalType\":\"uint256\",\"name\":\"due\",\"type\":\"uint256\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"forcedFee\",\"outputs\":[{\"internalType\":\"uint64\",\"name\":\"\",\"type\":\"uint64\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"uint256\",\"name\":\"length\",\"type\":\"uint256\"}],\"name\":\"forcedGas\",\"outputs\":[{\"internalType\":\"uint256\",\"name\":\"\",\"type\":\"uint256\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"forcedRoom\",\"outputs\":[{\"internalType\":\"uint32\",\"name\":\"\",\"type\":\"uint32\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"forcedWaiting\",\"outputs\":[{\"internalType\":\"uint256\",\"name\":\"\",\"type\":\"uint256\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"getCoreState\",\"outputs\":[{\"components\":[{\"internalType\":\"uint64\",\"name\":\"nextId\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"lastBlock\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"finalizedId\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"forcedHead\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"forcedTail\",\"type\":\"uint64\"},{\"internalType\":\"bytes32\",\"name\":\"lastProposal\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32\",\"name\":\"finalizedHash\",\"type\":\"bytes32\"}],\"internalType\":\"structInbox.CoreState\",\"name\":\"state\",\"type\":\"tuple\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"}],\"name\":\"getForced\",\"outputs\":[{\"components\":[{\"internalType\":\"bool\",\"name\":\"forced\",\"type\":\"bool\"},{\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"blockNumber\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"timestamp\",\"type\":\"uint64\"},{\"internalType\":\"uint32\",\"name\":\"offset\",\"type\":\"uint32\"},{\"internalType\":\"bytes32\",\"name\":\"dataHash\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32[]\",\"name\":\"blobHashes\",\"type\":\"bytes32[]\"}],\"internalType\":\"structInbox.Source\",\"name\":\"source\",\"type\":\"tuple\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"uint64\",\"name\":\"from\",\"type\":\"uint64\"},{\"internalType\":\"uint256\",\"name\":\"limit\",\"type\":\"uint256\"}],\"name\":\"getForcedItems\",\"outputs\":[{\"components\":[{\"internalType\":\"bool\",\"name\":\"forced\",\"type\":\"bool\"},{\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"blockNumber\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"timestamp\",\"type\":\"uint64\"},{\"internalType\":\"uint32\",\"name\":\"offset\",\"type\":\"uint32\"},{\"internalType\":\"bytes32\",\"name\":\"dataHash\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32[]\",\"name\":\"blobHashes\",\"type\":\"bytes32[]\"}],\"internalType\":\"structInbox.Source[]\",\"name\":\"sources\",\"type\":\"tuple[]\"},{\"internalType\":\"uint256[]\",\"name\":\"room\",\"type\":\"uint256[]\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"uint64\",\"name\":\"id\",\"type\":\"uint64\"}],\"name\":\"getProposalHash\",\"outputs\":[{\"internalType\":\"bytes32\",\"name\":\"\",\"type\":\"bytes32\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"address\",\"name\":\"\",\"type\":\"address\"}],\"name\":\"isProposer\",\"outputs\":[{\"internalType\":\"bool\",\"name\":\"\",\"type\":\"bool\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"owner\",\"outputs\":[{\"internalType\":\"address\",\"name\":\"\",\"type\":\"address\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"bytes32\",\"name\":\"parentProposal\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32\",\"name\":\"parentHash\",\"type\":\"bytes32\"},{\"internalType\":\"uint16\",\"name\":\"forcedCount\",\"type\":\"uint16\"},{\"internalType\":\"bytes\",\"name\":\"data\",\"type\":\"bytes\"}],\"name\":\"propose\",\"outputs\":[{\"internalType\":\"uint64\",\"name\":\"id\",\"type\":\"uint64\"}],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"bytes32\",\"name\":\"parentProposal\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32\",\"name\":\"parentHash\",\"type\":\"bytes32\"},{\"internalType\":\"uint16\",\"name\":\"forcedCount\",\"type\":\"uint16\"},{\"internalType\":\"uint32\",\"name\":\"offset\",\"type\":\"uint32\"}],\"name\":\"proposeBlobs\",\"outputs\":[{\"internalType\":\"uint64\",\"name\":\"id\",\"type\":\"uint64\"}],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"uint64\",\"name\":\"gasPerByte\",\"type\":\"uint64\"}],\"name\":\"setForcedFee\",\"outputs\":[],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"address\",\"name\":\"owner_\",\"type\":\"address\"}],\"name\":\"setOwner\",\"outputs\":[],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"address\",\"name\":\"proposer\",\"type\":\"address\"},{\"internalType\":\"bool\",\"name\":\"allowed\",\"type\":\"bool\"}],\"name\":\"setProposer\",\"outputs\":[],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"version\",\"outputs\":[{\"internalType\":\"uint256\",\"name\":\"\",\"type\":\"uint256\"}],\"stateMutability\":\"pure\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"address\",\"name\":\"to\",\"type\":\"address\"}],\"name\":\"withdraw\",\"outputs\":[],\"stateMutability\":\"nonpayable\",\"type\":\"function\"}]",
	ID:  "Inbox",
	Bin: "0x60c06040523461029257611e5f80380380610019816102aa565b92833981019060a08183031261029257610032816102cf565b9061003f602082016102e3565b604082015163ffffffff8116938482036102925761005f606085016102e3565b608085015190946001600160401b03821161029257019580601f88011215610292578651966001600160401b038811610296578760051b906020806100a58185016102aa565b809b8152019282010192831161029257602001905b82821061027a575050506001600160a01b03169384158015610264575b6102485762010c008110908115610257575b50610248575f549160805260a0526001808060401b0319600554161760055560405190837f50146d0e3c60aa1d17a70635b05494f864e86144a2201275021014fbf08bafe25f80a26001600160401b038316906103e88211610248576001600160e01b03191690931760a09290921b600160a01b600160e01b0316919091175f559081527f2358593a589ff0340350ebbc65c0c48a23bd255a8632702d41cb1c4e3004ad7390602090a15f5b815181101561020b576001906001600160a01b036101b382856102f7565b51165f528160205260405f208260ff19825416179055818060a01b036101d982856102f7565b51167ffc7858ed770f3bd9c19525fe1de2c94c7d048128ade2219d82b32d888a45a7d26020604051858152a201610195565b604051611b3f908161032082396080518181816104910152611492015260a051818181610e9101528181611142015281816113da01526119d70152f35b63a1fd3ee360e01b5f5260045ffd5b620430009150115f6100e9565b506301e133806001600160401b038416116100d7565b60208091610287846102cf565b8152019101906100ba565b5f80fd5b634e487b7160e01b5f52604160045260245ffd5b6040519190601f01601f191682016001600160401b0381118382101761029657604052565b51906001600160a01b038216820361029257565b51906001600160401b038216820361029257565b805182101561030b5760209160051b010190565b634e487b7160e01b5f52603260045260245ffdfe60806040526004361015610011575f80fd5b5f3560e01c80630e6e6b2414610f5857806313af403514610eb55780633354ff1214610e755780633bfa5b2814610e5957806344af386314610e3b5780634965c9d514610aea57806351cff8d914610a5f57806351daf2a314610a4257806354fd4d5014610a275780636aa6a01a1461094257806374ec29a0146108f85780638a4955eb146108da5780638c469615146108be5780638da5cb5b1461088c57806390cc5ead146108725780639103645b1461078857806399254d681461075f578063ae68e5681461073d578063afbf72bc14610721578063b337413414610624578063bacfb3231461050b578063c63fb7e0146104ee578063cfef1a5f146104b5578063d871e38f14610471578063e176be871461029c578063e2258d911461022d5763e9ed9b6414610142575f80fd5b346102295760406003193601126102295761015b610feb565b602435908115158092036102295773ffffffffffffffffffffffffffffffffffffffff5f5416330361020157602073ffffffffffffffffffffffffffffffffffffffff7ffc7858ed770f3bd9c19525fe1de2c94c7d048128ade2219d82b32d888a45a7d2921692835f526001825260405f207fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff0081541660ff8316179055604051908152a2005b7f30cd7471000000000000000000000000000000000000000000000000000000005f5260045ffd5b5f80fd5b346102295760206003193601126102295761028861024961102e565b6102516114e4565b9067ffffffffffffffff60045460401c1667ffffffffffffffff82161061028c575b50604051918291602083526020830190611045565b0390f35b610296915061189d565b82610273565b34610229576040600319360112610229576102b561102e565b6024359067ffffffffffffffff60045460401c16908067ffffffffffffffff8116928084105f146104605767ffffffffffffffff916102f3916112f8565b1692808411610458575b506103078361151a565b92610311816114cc565b9061031f6040519283611296565b80825261032b816114cc565b93601f19602084019501368637610427575f5b925f935b67ffffffffffffffff8516838110156103d257906103cc9161036c610367888661120f565b61189d565b610376828b611587565b52610381818a611587565b5067ffffffffffffffff610395888661120f565b165f5260036020526103c567ffffffffffffffff6103bd8160405f205460801c1694856112f8565b169187611587565b5294611568565b93610342565b6103ee88888760206040519485946040865260408601906110e3565b918483038286015251918281520191905f5b81811061040e575050500390f35b8251845285945060209384019390920191600101610400565b67ffffffffffffffff610439846112b9565b165f52600360205267ffffffffffffffff60405f205460801c1661033e565b9250836102fd565b505067ffffffffffffffff5f6102f3565b34610229575f60031936011261022957602060405167ffffffffffffffff7f0000000000000000000000000000000000000000000000000000000000000000168152f35b346102295760206003193601126102295767ffffffffffffffff6104d761102e565b165f526002602052602060405f2054604051908152f35b34610229575f600319360112610229576020604051620430008152f35b346102295760406003193601126102295761052461102e565b6024359073ffffffffffffffffffffffffffffffffffffffff5f54163303610201576005549067ffffffffffffffff81169267ffffffffffffffff8360801c168411801590610610575b6105e8577f20cb73f2c1483f8446d834f39359e959a028008497f5181d4d86b32bcc1e1ce1927fffffffffffffffff0000000000000000ffffffffffffffffffffffffffffffff77ffffffffffffffff0000000000000000000000000000000060209460801b1691161760055580600855604051908152a2005b7f7ca55c77000000000000000000000000000000000000000000000000000000005f5260045ffd5b5067ffffffffffffffff831684101561056e565b346102295760806003193601126102295761063d610fac565b6064359063ffffffff8216809203610229576106576114e4565b505f5b80496107135780156106eb5761066e6118ed565b92608084015261067d816114cc565b61068a6040519182611296565b818152601f19610699836114cc565b0136602083013760c084019081525f5b8281106106d45760206106c2868660243560043561163d565b67ffffffffffffffff60405191168152f35b80600191496106e4828551611587565b52016106a9565b7f93a0236d000000000000000000000000000000000000000000000000000000005f5260045ffd5b61071c9061138a565b61065a565b34610229575f6003193601126102295760206040516106008152f35b34610229575f6003193601126102295760206107576113b7565b604051908152f35b34610229575f60031936011261022957602067ffffffffffffffff5f5460a01c16604051908152f35b34610229576020600319360112610229576107a161102e565b5f549073ffffffffffffffffffffffffffffffffffffffff821633036102015767ffffffffffffffff81166103e8811161084a577f2358593a589ff0340350ebbc65c0c48a23bd255a8632702d41cb1c4e3004ad73927fffffffff0000000000000000ffffffffffffffffffffffffffffffffffffffff7bffffffffffffffff000000000000000000000000000000000000000060209460a01b169116175f55604051908152a1005b7fa1fd3ee3000000000000000000000000000000000000000000000000000000005f5260045ffd5b34610229575f60031936011261022957602061075761131a565b34610229575f60031936011261022957602073ffffffffffffffffffffffffffffffffffffffff5f5416604051908152f35b34610229575f6003193601126102295760206040516103e88152f35b34610229575f6003193601126102295760206040516301e133808152f35b346102295760206003193601126102295773ffffffffffffffffffffffffffffffffffffffff610926610feb565b165f526001602052602060ff60405f2054166040519015158152f35b34610229575f600319360112610229575f60c06040516109618161127a565b8281528260208201528260408201528260608201528260808201528260a0820152015260e06040516109928161127a565b6005549067ffffffffffffffff82169182825267ffffffffffffffff6020830191818160401c16835281604085019160801c1681528160608501816080870193816007549760a08a0198895260c06008549a01998a5281600454818160401c1689521685526040519a8b52511660208a01525116604088015251166060860152511660808401525160a08301525160c0820152f35b34610229575f60031936011261022957602060405160028152f35b34610229575f60031936011261022957602060405162010c008152f35b3461022957602060031936011261022957610a78610feb565b73ffffffffffffffffffffffffffffffffffffffff5f541633036102015773ffffffffffffffffffffffffffffffffffffffff8116801561084a57610ae89147917fc0819c13be868895eb93e40eaceb96de976442fa1d404e5c55f14bb65a8c489a6020604051858152a2611839565b005b60206003193601126102295760043567ffffffffffffffff811161022957610b16903690600401610fbd565b906180008211610e135781610b2a916115e4565b610b3d610b368361113b565b489061101b565b90813410610de75760045467ffffffffffffffff8160401c1693610600018061060011610d8a5767ffffffffffffffff610b7b91168260c01c61120f565b906001850167ffffffffffffffff8111610d8a576fffffffffffffffff00000000000000009060401b169077ffffffffffffffff0000000000000000ffffffffffffffff7fffffffffffffffff0000000000000000000000000000000000000000000000008460c01b1691161717600455600167ffffffffffffffff6040840151169167ffffffffffffffff6060850151169060a08501519160405194610c2186611231565b85526020850190815267ffffffffffffffff604086019216825260608501928352875f52600360205267ffffffffffffffff60405f209551167fffffffffffffffffffffffffffffffffffffffffffffffff0000000000000000865416178555517fffffffffffffffffffffffffffffffff0000000000000000ffffffffffffffff6fffffffffffffffff00000000000000008087549360401b16169116178455517fffffffffffffffff0000000000000000ffffffffffffffffffffffffffffffff77ffffffffffffffff000000000000000000000000000000008086549360801b161691161783555191015560018152826020820152827f63bdaca547357f22263a549e14ff71fadd033771ad6dddd8d93426a1127dd6c96040516020815280610d5233956020830190611045565b0390a380610db7575b803411610d6e575b602082604051908152f35b340390348211610d8a57610d8460209233611839565b90610d63565b7f4e487b71000000000000000000000000000000000000000000000000000000005f52601160045260245ffd5b817f199441f8deca0e65642626d4600dbe04ad0aeb815079704af2e88c082d3aa98f6020604051848152a2610d5b565b507f53e5def3000000000000000000000000000000000000000000000000000000005f5260045260245ffd5b7f5ee68a65000000000000000000000000000000000000000000000000000000005f5260045ffd5b3461022957602060031936011261022957602061075760043561113b565b34610229575f6003193601126102295760206040516180008152f35b34610229575f60031936011261022957602060405163ffffffff7f0000000000000000000000000000000000000000000000000000000000000000168152f35b3461022957602060031936011261022957610ece610feb565b5f549073ffffffffffffffffffffffffffffffffffffffff821633036102015773ffffffffffffffffffffffffffffffffffffffff1690811561084a577fffffffffffffffffffffffff0000000000000000000000000000000000000000829116175f557f50146d0e3c60aa1d17a70635b05494f864e86144a2201275021014fbf08bafe25f80a2005b3461022957608060031936011261022957610f71610fac565b60643567ffffffffffffffff811161022957602091610fa0610f9a6106c2933690600401610fbd565b906115e4565b9060243560043561163d565b6044359061ffff8216820361022957565b9181601f840112156102295782359167ffffffffffffffff8311610229576020838186019501011161022957565b6004359073ffffffffffffffffffffffffffffffffffffffff8216820361022957565b91908201809211610d8a57565b81810292918115918404141715610d8a57565b6004359067ffffffffffffffff8216820361022957565b602061010060c060e085019380511515865267ffffffffffffffff84820151168487015267ffffffffffffffff604082015116604087015267ffffffffffffffff606082015116606087015263ffffffff608082015116608087015260a081015160a087015201519360e060c08201528451809452019201905f5b8181106110cd5750505090565b82518452602093840193909201916001016110c0565b9080602083519182815201916020808360051b8301019401925f915b83831061110e57505050505090565b909192939460208061112c83601f1986600196030187528951611045565b970193019301919392906110ff565b63ffffffff7f0000000000000000000000000000000000000000000000000000000000000000169067ffffffffffffffff5f5460a01c169061060001908161060011610d8a576111a96111926111ae93859361101b565b6111a361119d61131a565b8461100e565b9061101b565b61100e565b7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff8101908111610d8a5781156111e2570490565b7f4e487b71000000000000000000000000000000000000000000000000000000005f52601260045260245ffd5b9067ffffffffffffffff8091169116019067ffffffffffffffff8211610d8a57565b6080810190811067ffffffffffffffff82111761124d57604052565b7f4e487b71000000000000000000000000000000000000000000000000000000005f52604160045260245ffd5b60e0810190811067ffffffffffffffff82111761124d57604052565b90601f601f19910116810190811067ffffffffffffffff82111761124d57604052565b67ffffffffffffffff7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff9116019067ffffffffffffffff8211610d8a57565b9067ffffffffffffffff8091169116039067ffffffffffffffff8211610d8a57565b67ffffffffffffffff611338600454828160801c169060c01c6112f8565b1690565b6040519061134982611231565b81606060045467ffffffffffffffff8116835267ffffffffffffffff8160401c16602084015267ffffffffffffffff8160801c16604084015260c01c910152565b7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff8114610d8a5760010190565b5f6113c061133c565b9161140067ffffffffffffffff60408501511663ffffffff7f0000000000000000000000000000000000000000000000000000000000000000169061100e565b602067ffffffffffffffff8551169401925b67ffffffffffffffff84511667ffffffffffffffff8616908110156114c4575f52600360205260405f20548267ffffffffffffffff8260801c1611908115611481575b5061147a5767ffffffffffffffff600161146f829361138a565b960116949050611412565b9350509050565b6114bc915067ffffffffffffffff807f0000000000000000000000000000000000000000000000000000000000000000169160401c1661100e565b42105f611455565b509350509050565b67ffffffffffffffff811161124d5760051b60200190565b604051906114f18261127a565b606060c0835f81525f60208201525f60408201525f838201525f60808201525f60a08201520152565b90611524826114cc565b6115316040519182611296565b828152601f1961154182946114cc565b01905f5b82811061155157505050565b60209061155c6114e4565b82828501015201611545565b67ffffffffffffffff1667ffffffffffffffff8114610d8a5760010190565b805182101561159b5760209160051b010190565b7f4e487b71000000000000000000000000000000000000000000000000000000005f52603260045260245ffd5b67ffffffffffffffff811161124d57601f01601f191660200190565b9190916115ef6114e4565b5082156106eb576115fe6118ed565b92611608816115c8565b906116166040519283611296565b8082526020820192368282011161022957815f9260209286378301015251902060a0830152565b9392335f52600160205260ff60405f20541615611811576007548086036117e6575067ffffffffffffffff60055460401c1643146117be576116999061ffff61168585611918565b9416906116928286611587565b5283611587565b507f9045525aedfdc59991aed8f3a0449b04922d42bc79034659db392acba07e3ee16005549167ffffffffffffffff8316927fffffffffffffffffffffffffffffffffffffffffffffffff000000000000000067ffffffffffffffff6116fe86611568565b1691161760055582956040516020810191858352336040830152606082015282608082015260a0808201526117488161173a60c08201896110e3565b03601f198101835282611296565b519020835f5260026020528060405f20556007556005547fffffffffffffffffffffffffffffffff0000000000000000ffffffffffffffff6fffffffffffffffff00000000000000004360401b1691161760055560405190815260406020820152806117b9339560408301906110e3565b0390a3565b7f123e6da3000000000000000000000000000000000000000000000000000000005f5260045ffd5b7fc4c5f53b000000000000000000000000000000000000000000000000000000005f5260045260245ffd5b7f7d1b73b9000000000000000000000000000000000000000000000000000000005f5260045ffd5b5f80809381935af13d15611898573d611851816115c8565b9061185f6040519283611296565b81525f60203d92013e5b1561187057565b7f91d3c772000000000000000000000000000000000000000000000000000000005f5260045ffd5b611869565b90600167ffffffffffffffff6118b16114e4565b9316805f52600360205260405f2090828552602085015267ffffffffffffffff8154818116604087015260401c166060850152015460a0830152565b6118f56114e4565b9067ffffffffffffffff4316604083015267ffffffffffffffff42166060830152565b9061ffff6119246113b7565b921691808310611ade575060018201808311610d8a576119439061151a565b918015611adb5761195261133c565b67ffffffffffffffff61196f8160208401511682845116906112f8565b168211611ab35767ffffffffffffffff61199461198f848385511661120f565b6112b9565b165f52600360205260405f2054926119c767ffffffffffffffff60408401511667ffffffffffffffff8660801c166112f8565b67ffffffffffffffff63ffffffff7f000000000000000000000000000000000000000000000000000000000000000016911611611ab3575f5b61ffff811684811015611a485761ffff91611a4082611a2f61036760019567ffffffffffffffff8a511661120f565b611a39828c611587565b5289611587565b500116611a00565b5050929167ffffffffffffffff611a6092511661120f565b7fffffffffffffffff0000000000000000ffffffffffffffff000000000000000077ffffffffffffffff0000000000000000000000000000000067ffffffffffffffff6004549316931691161717600455565b7f0483db2c000000000000000000000000000000000000000000000000000000005f5260045ffd5b50565b7f7a81969c000000000000000000000000000000000000000000000000000000005f5260045260245ffdfea26469706673582212207d23b76d437abcd6fc26ec7699f9b12ae449f5fa21bc1d5b55d56998419c04ee64736f6c634300081e0033",
}

// Inbox is an auto generated Go binding around an Ethereum contract.
type Inbox struct {
	abi abi.ABI
}

// NewInbox creates a new instance of Inbox.
func NewInbox() *Inbox {
	parsed, err := InboxMetaData.ParseABI()
	if err != nil {
		panic(errors.New("invalid ABI: " + err.Error()))
	}
	return &Inbox{abi: *parsed}
}

// Instance creates a wrapper for a deployed contract instance at the given address.
// Use this to create the instance object passed to abigen v2 library functions Call, Transact, etc.
func (c *Inbox) Instance(backend bind.ContractBackend, addr common.Address) *bind.BoundContract {
	return bind.NewBoundContract(addr, c.abi, backend, backend, backend)
}

// PackConstructor is the Go binding used to pack the parameters required for
// contract deployment.
//
// Solidity: constructor(address owner_, uint64 forcedDelay_, uint32 forcedRoom_, uint64 forcedFee_, address[] proposers) returns()
func (inbox *Inbox) PackConstructor(owner_ common.Address, forcedDelay_ uint64, forcedRoom_ uint32, forcedFee_ uint64, proposers []common.Address) []byte {
	enc, err := inbox.abi.Pack("", owner_, forcedDelay_, forcedRoom_, forcedFee_, proposers)
	if err != nil {
		panic(err)
	}
	return enc
}

// PackFORCEDDATAMAX is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x3bfa5b28.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function FORCED_DATA_MAX() view returns(uint256)
func (inbox *Inbox) PackFORCEDDATAMAX() []byte {
	enc, err := inbox.abi.Pack("FORCED_DATA_MAX")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackFORCEDDATAMAX is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x3bfa5b28.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function FORCED_DATA_MAX() view returns(uint256)
func (inbox *Inbox) TryPackFORCEDDATAMAX() ([]byte, error) {
	return inbox.abi.Pack("FORCED_DATA_MAX")
}

// UnpackFORCEDDATAMAX is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x3bfa5b28.
//
// Solidity: function FORCED_DATA_MAX() view returns(uint256)
func (inbox *Inbox) UnpackFORCEDDATAMAX(data []byte) (*big.Int, error) {
	out, err := inbox.abi.Unpack("FORCED_DATA_MAX", data)
	if err != nil {
		return new(big.Int), err
	}
	out0 := abi.ConvertType(out[0], new(big.Int)).(*big.Int)
	return out0, nil
}

// PackFORCEDDELAYMAX is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x8a4955eb.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function FORCED_DELAY_MAX() view returns(uint64)
func (inbox *Inbox) PackFORCEDDELAYMAX() []byte {
	enc, err := inbox.abi.Pack("FORCED_DELAY_MAX")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackFORCEDDELAYMAX is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x8a4955eb.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function FORCED_DELAY_MAX() view returns(uint64)
func (inbox *Inbox) TryPackFORCEDDELAYMAX() ([]byte, error) {
	return inbox.abi.Pack("FORCED_DELAY_MAX")
}

// UnpackFORCEDDELAYMAX is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x8a4955eb.
//
// Solidity: function FORCED_DELAY_MAX() view returns(uint64)
func (inbox *Inbox) UnpackFORCEDDELAYMAX(data []byte) (uint64, error) {
	out, err := inbox.abi.Unpack("FORCED_DELAY_MAX", data)
	if err != nil {
		return *new(uint64), err
	}
	out0 := *abi.ConvertType(out[0], new(uint64)).(*uint64)
	return out0, nil
}

// PackFORCEDFEEMAX is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x8c469615.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function FORCED_FEE_MAX() view returns(uint64)
func (inbox *Inbox) PackFORCEDFEEMAX() []byte {
	enc, err := inbox.abi.Pack("FORCED_FEE_MAX")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackFORCEDFEEMAX is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x8c469615.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function FORCED_FEE_MAX() view returns(uint64)
func (inbox *Inbox) TryPackFORCEDFEEMAX() ([]byte, error) {
	return inbox.abi.Pack("FORCED_FEE_MAX")
}

// UnpackFORCEDFEEMAX is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x8c469615.
//
// Solidity: function FORCED_FEE_MAX() view returns(uint64)
func (inbox *Inbox) UnpackFORCEDFEEMAX(data []byte) (uint64, error) {
	out, err := inbox.abi.Unpack("FORCED_FEE_MAX", data)
	if err != nil {
		return *new(uint64), err
	}
	out0 := *abi.ConvertType(out[0], new(uint64)).(*uint64)
	return out0, nil
}

// PackFORCEDITEMBYTES is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xafbf72bc.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function FORCED_ITEM_BYTES() view returns(uint256)
func (inbox *Inbox) PackFORCEDITEMBYTES() []byte {
	enc, err := inbox.abi.Pack("FORCED_ITEM_BYTES")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackFORCEDITEMBYTES is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xafbf72bc.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function FORCED_ITEM_BYTES() view returns(uint256)
func (inbox *Inbox) TryPackFORCEDITEMBYTES() ([]byte, error) {
	return inbox.abi.Pack("FORCED_ITEM_BYTES")
}

// UnpackFORCEDITEMBYTES is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0xafbf72bc.
//
// Solidity: function FORCED_ITEM_BYTES() view returns(uint256)
func (inbox *Inbox) UnpackFORCEDITEMBYTES(data []byte) (*big.Int, error) {
	out, err := inbox.abi.Unpack("FORCED_ITEM_BYTES", data)
	if err != nil {
		return new(big.Int), err
	}
	out0 := abi.ConvertType(out[0], new(big.Int)).(*big.Int)
	return out0, nil
}

// PackFORCEDROOMMAX is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xc63fb7e0.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function FORCED_ROOM_MAX() view returns(uint256)
func (inbox *Inbox) PackFORCEDROOMMAX() []byte {
	enc, err := inbox.abi.Pack("FORCED_ROOM_MAX")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackFORCEDROOMMAX is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xc63fb7e0.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function FORCED_ROOM_MAX() view returns(uint256)
func (inbox *Inbox) TryPackFORCEDROOMMAX() ([]byte, error) {
	return inbox.abi.Pack("FORCED_ROOM_MAX")
}

// UnpackFORCEDROOMMAX is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0xc63fb7e0.
//
// Solidity: function FORCED_ROOM_MAX() view returns(uint256)
func (inbox *Inbox) UnpackFORCEDROOMMAX(data []byte) (*big.Int, error) {
	out, err := inbox.abi.Unpack("FORCED_ROOM_MAX", data)
	if err != nil {
		return new(big.Int), err
	}
	out0 := abi.ConvertType(out[0], new(big.Int)).(*big.Int)
	return out0, nil
}

// PackFORCEDROOMMIN is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x51daf2a3.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function FORCED_ROOM_MIN() view returns(uint256)
func (inbox *Inbox) PackFORCEDROOMMIN() []byte {
	enc, err := inbox.abi.Pack("FORCED_ROOM_MIN")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackFORCEDROOMMIN is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x51daf2a3.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function FORCED_ROOM_MIN() view returns(uint256)
func (inbox *Inbox) TryPackFORCEDROOMMIN() ([]byte, error) {
	return inbox.abi.Pack("FORCED_ROOM_MIN")
}

// UnpackFORCEDROOMMIN is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x51daf2a3.
//
// Solidity: function FORCED_ROOM_MIN() view returns(uint256)
func (inbox *Inbox) UnpackFORCEDROOMMIN(data []byte) (*big.Int, error) {
	out, err := inbox.abi.Unpack("FORCED_ROOM_MIN", data)
	if err != nil {
		return new(big.Int), err
	}
	out0 := abi.ConvertType(out[0], new(big.Int)).(*big.Int)
	return out0, nil
}

// PackFinalize is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xbacfb323.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function finalize(uint64 id, bytes32 blockHash) returns()
func (inbox *Inbox) PackFinalize(id uint64, blockHash [32]byte) []byte {
	enc, err := inbox.abi.Pack("finalize", id, blockHash)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackFinalize is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xbacfb323.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function finalize(uint64 id, bytes32 blockHash) returns()
func (inbox *Inbox) TryPackFinalize(id uint64, blockHash [32]byte) ([]byte, error) {
	return inbox.abi.Pack("finalize", id, blockHash)
}

// PackForce is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x4965c9d5.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function force(bytes data) payable returns(uint64 index)
func (inbox *Inbox) PackForce(data []byte) []byte {
	enc, err := inbox.abi.Pack("force", data)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackForce is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x4965c9d5.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function force(bytes data) payable returns(uint64 index)
func (inbox *Inbox) TryPackForce(data []byte) ([]byte, error) {
	return inbox.abi.Pack("force", data)
}

// UnpackForce is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x4965c9d5.
//
// Solidity: function force(bytes data) payable returns(uint64 index)
func (inbox *Inbox) UnpackForce(data []byte) (uint64, error) {
	out, err := inbox.abi.Unpack("force", data)
	if err != nil {
		return *new(uint64), err
	}
	out0 := *abi.ConvertType(out[0], new(uint64)).(*uint64)
	return out0, nil
}

// PackForcedDelay is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xd871e38f.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function forcedDelay() view returns(uint64)
func (inbox *Inbox) PackForcedDelay() []byte {
	enc, err := inbox.abi.Pack("forcedDelay")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackForcedDelay is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xd871e38f.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function forcedDelay() view returns(uint64)
func (inbox *Inbox) TryPackForcedDelay() ([]byte, error) {
	return inbox.abi.Pack("forcedDelay")
}

// UnpackForcedDelay is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0xd871e38f.
//
// Solidity: function forcedDelay() view returns(uint64)
func (inbox *Inbox) UnpackForcedDelay(data []byte) (uint64, error) {
	out, err := inbox.abi.Unpack("forcedDelay", data)
	if err != nil {
		return *new(uint64), err
	}
	out0 := *abi.ConvertType(out[0], new(uint64)).(*uint64)
	return out0, nil
}

// PackForcedDue is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xae68e568.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function forcedDue() view returns(uint256 due)
func (inbox *Inbox) PackForcedDue() []byte {
	enc, err := inbox.abi.Pack("forcedDue")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackForcedDue is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xae68e568.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function forcedDue() view returns(uint256 due)
func (inbox *Inbox) TryPackForcedDue() ([]byte, error) {
	return inbox.abi.Pack("forcedDue")
}

// UnpackForcedDue is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0xae68e568.
//
// Solidity: function forcedDue() view returns(uint256 due)
func (inbox *Inbox) UnpackForcedDue(data []byte) (*big.Int, error) {
	out, err := inbox.abi.Unpack("forcedDue", data)
	if err != nil {
		return new(big.Int), err
	}
	out0 := abi.ConvertType(out[0], new(big.Int)).(*big.Int)
	return out0, nil
}

// PackForcedFee is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x99254d68.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function forcedFee() view returns(uint64)
func (inbox *Inbox) PackForcedFee() []byte {
	enc, err := inbox.abi.Pack("forcedFee")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackForcedFee is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x99254d68.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function forcedFee() view returns(uint64)
func (inbox *Inbox) TryPackForcedFee() ([]byte, error) {
	return inbox.abi.Pack("forcedFee")
}

// UnpackForcedFee is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x99254d68.
//
// Solidity: function forcedFee() view returns(uint64)
func (inbox *Inbox) UnpackForcedFee(data []byte) (uint64, error) {
	out, err := inbox.abi.Unpack("forcedFee", data)
	if err != nil {
		return *new(uint64), err
	}
	out0 := *abi.ConvertType(out[0], new(uint64)).(*uint64)
	return out0, nil
}

// PackForcedGas is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x44af3863.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function forcedGas(uint256 length) view returns(uint256)
func (inbox *Inbox) PackForcedGas(length *big.Int) []byte {
	enc, err := inbox.abi.Pack("forcedGas", length)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackForcedGas is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x44af3863.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function forcedGas(uint256 length) view returns(uint256)
func (inbox *Inbox) TryPackForcedGas(length *big.Int) ([]byte, error) {
	return inbox.abi.Pack("forcedGas", length)
}

// UnpackForcedGas is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x44af3863.
//
// Solidity: function forcedGas(uint256 length) view returns(uint256)
func (inbox *Inbox) UnpackForcedGas(data []byte) (*big.Int, error) {
	out, err := inbox.abi.Unpack("forcedGas", data)
	if err != nil {
		return new(big.Int), err
	}
	out0 := abi.ConvertType(out[0], new(big.Int)).(*big.Int)
	return out0, nil
}

// PackForcedRoom is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x3354ff12.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function forcedRoom() view returns(uint32)
func (inbox *Inbox) PackForcedRoom() []byte {
	enc, err := inbox.abi.Pack("forcedRoom")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackForcedRoom is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x3354ff12.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function forcedRoom() view returns(uint32)
func (inbox *Inbox) TryPackForcedRoom() ([]byte, error) {
	return inbox.abi.Pack("forcedRoom")
}

// UnpackForcedRoom is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x3354ff12.
//
// Solidity: function forcedRoom() view returns(uint32)
func (inbox *Inbox) UnpackForcedRoom(data []byte) (uint32, error) {
	out, err := inbox.abi.Unpack("forcedRoom", data)
	if err != nil {
		return *new(uint32), err
	}
	out0 := *abi.ConvertType(out[0], new(uint32)).(*uint32)
	return out0, nil
}

// PackForcedWaiting is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x90cc5ead.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function forcedWaiting() view returns(uint256)
func (inbox *Inbox) PackForcedWaiting() []byte {
	enc, err := inbox.abi.Pack("forcedWaiting")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackForcedWaiting is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x90cc5ead.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function forcedWaiting() view returns(uint256)
func (inbox *Inbox) TryPackForcedWaiting() ([]byte, error) {
	return inbox.abi.Pack("forcedWaiting")
}

// UnpackForcedWaiting is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x90cc5ead.
//
// Solidity: function forcedWaiting() view returns(uint256)
func (inbox *Inbox) UnpackForcedWaiting(data []byte) (*big.Int, error) {
	out, err := inbox.abi.Unpack("forcedWaiting", data)
	if err != nil {
		return new(big.Int), err
	}
	out0 := abi.ConvertType(out[0], new(big.Int)).(*big.Int)
	return out0, nil
}

// PackGetCoreState is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x6aa6a01a.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function getCoreState() view returns((uint64,uint64,uint64,uint64,uint64,bytes32,bytes32) state)
func (inbox *Inbox) PackGetCoreState() []byte {
	enc, err := inbox.abi.Pack("getCoreState")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackGetCoreState is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x6aa6a01a.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function getCoreState() view returns((uint64,uint64,uint64,uint64,uint64,bytes32,bytes32) state)
func (inbox *Inbox) TryPackGetCoreState() ([]byte, error) {
	return inbox.abi.Pack("getCoreState")
}

// UnpackGetCoreState is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x6aa6a01a.
//
// Solidity: function getCoreState() view returns((uint64,uint64,uint64,uint64,uint64,bytes32,bytes32) state)
func (inbox *Inbox) UnpackGetCoreState(data []byte) (InboxCoreState, error) {
	out, err := inbox.abi.Unpack("getCoreState", data)
	if err != nil {
		return *new(InboxCoreState), err
	}
	out0 := *abi.ConvertType(out[0], new(InboxCoreState)).(*InboxCoreState)
	return out0, nil
}

// PackGetForced is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xe2258d91.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function getForced(uint64 index) view returns((bool,uint64,uint64,uint64,uint32,bytes32,bytes32[]) source)
func (inbox *Inbox) PackGetForced(index uint64) []byte {
	enc, err := inbox.abi.Pack("getForced", index)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackGetForced is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xe2258d91.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function getForced(uint64 index) view returns((bool,uint64,uint64,uint64,uint32,bytes32,bytes32[]) source)
func (inbox *Inbox) TryPackGetForced(index uint64) ([]byte, error) {
	return inbox.abi.Pack("getForced", index)
}

// UnpackGetForced is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0xe2258d91.
//
// Solidity: function getForced(uint64 index) view returns((bool,uint64,uint64,uint64,uint32,bytes32,bytes32[]) source)
func (inbox *Inbox) UnpackGetForced(data []byte) (InboxSource, error) {
	out, err := inbox.abi.Unpack("getForced", data)
	if err != nil {
		return *new(InboxSource), err
	}
	out0 := *abi.ConvertType(out[0], new(InboxSource)).(*InboxSource)
	return out0, nil
}

// PackGetForcedItems is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xe176be87.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function getForcedItems(uint64 from, uint256 limit) view returns((bool,uint64,uint64,uint64,uint32,bytes32,bytes32[])[] sources, uint256[] room)
func (inbox *Inbox) PackGetForcedItems(from uint64, limit *big.Int) []byte {
	enc, err := inbox.abi.Pack("getForcedItems", from, limit)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackGetForcedItems is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xe176be87.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function getForcedItems(uint64 from, uint256 limit) view returns((bool,uint64,uint64,uint64,uint32,bytes32,bytes32[])[] sources, uint256[] room)
func (inbox *Inbox) TryPackGetForcedItems(from uint64, limit *big.Int) ([]byte, error) {
	return inbox.abi.Pack("getForcedItems", from, limit)
}

// GetForcedItemsOutput serves as a container for the return parameters of contract
// method GetForcedItems.
type GetForcedItemsOutput struct {
	Sources []InboxSource
	Room    []*big.Int
}

// UnpackGetForcedItems is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0xe176be87.
//
// Solidity: function getForcedItems(uint64 from, uint256 limit) view returns((bool,uint64,uint64,uint64,uint32,bytes32,bytes32[])[] sources, uint256[] room)
func (inbox *Inbox) UnpackGetForcedItems(data []byte) (GetForcedItemsOutput, error) {
	out, err := inbox.abi.Unpack("getForcedItems", data)
	outstruct := new(GetForcedItemsOutput)
	if err != nil {
		return *outstruct, err
	}
	outstruct.Sources = *abi.ConvertType(out[0], new([]InboxSource)).(*[]InboxSource)
	outstruct.Room = *abi.ConvertType(out[1], new([]*big.Int)).(*[]*big.Int)
	return *outstruct, nil
}

// PackGetProposalHash is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xcfef1a5f.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function getProposalHash(uint64 id) view returns(bytes32)
func (inbox *Inbox) PackGetProposalHash(id uint64) []byte {
	enc, err := inbox.abi.Pack("getProposalHash", id)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackGetProposalHash is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xcfef1a5f.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function getProposalHash(uint64 id) view returns(bytes32)
func (inbox *Inbox) TryPackGetProposalHash(id uint64) ([]byte, error) {
	return inbox.abi.Pack("getProposalHash", id)
}

// UnpackGetProposalHash is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0xcfef1a5f.
//
// Solidity: function getProposalHash(uint64 id) view returns(bytes32)
func (inbox *Inbox) UnpackGetProposalHash(data []byte) ([32]byte, error) {
	out, err := inbox.abi.Unpack("getProposalHash", data)
	if err != nil {
		return *new([32]byte), err
	}
	out0 := *abi.ConvertType(out[0], new([32]byte)).(*[32]byte)
	return out0, nil
}

// PackIsProposer is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x74ec29a0.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function isProposer(address ) view returns(bool)
func (inbox *Inbox) PackIsProposer(arg0 common.Address) []byte {
	enc, err := inbox.abi.Pack("isProposer", arg0)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackIsProposer is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x74ec29a0.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function isProposer(address ) view returns(bool)
func (inbox *Inbox) TryPackIsProposer(arg0 common.Address) ([]byte, error) {
	return inbox.abi.Pack("isProposer", arg0)
}

// UnpackIsProposer is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x74ec29a0.
//
// Solidity: function isProposer(address ) view returns(bool)
func (inbox *Inbox) UnpackIsProposer(data []byte) (bool, error) {
	out, err := inbox.abi.Unpack("isProposer", data)
	if err != nil {
		return *new(bool), err
	}
	out0 := *abi.ConvertType(out[0], new(bool)).(*bool)
	return out0, nil
}

// PackOwner is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x8da5cb5b.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function owner() view returns(address)
func (inbox *Inbox) PackOwner() []byte {
	enc, err := inbox.abi.Pack("owner")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackOwner is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x8da5cb5b.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function owner() view returns(address)
func (inbox *Inbox) TryPackOwner() ([]byte, error) {
	return inbox.abi.Pack("owner")
}

// UnpackOwner is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x8da5cb5b.
//
// Solidity: function owner() view returns(address)
func (inbox *Inbox) UnpackOwner(data []byte) (common.Address, error) {
	out, err := inbox.abi.Unpack("owner", data)
	if err != nil {
		return *new(common.Address), err
	}
	out0 := *abi.ConvertType(out[0], new(common.Address)).(*common.Address)
	return out0, nil
}

// PackPropose is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x0e6e6b24.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function propose(bytes32 parentProposal, bytes32 parentHash, uint16 forcedCount, bytes data) returns(uint64 id)
func (inbox *Inbox) PackPropose(parentProposal [32]byte, parentHash [32]byte, forcedCount uint16, data []byte) []byte {
	enc, err := inbox.abi.Pack("propose", parentProposal, parentHash, forcedCount, data)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackPropose is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x0e6e6b24.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function propose(bytes32 parentProposal, bytes32 parentHash, uint16 forcedCount, bytes data) returns(uint64 id)
func (inbox *Inbox) TryPackPropose(parentProposal [32]byte, parentHash [32]byte, forcedCount uint16, data []byte) ([]byte, error) {
	return inbox.abi.Pack("propose", parentProposal, parentHash, forcedCount, data)
}

// UnpackPropose is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x0e6e6b24.
//
// Solidity: function propose(bytes32 parentProposal, bytes32 parentHash, uint16 forcedCount, bytes data) returns(uint64 id)
func (inbox *Inbox) UnpackPropose(data []byte) (uint64, error) {
	out, err := inbox.abi.Unpack("propose", data)
	if err != nil {
		return *new(uint64), err
	}
	out0 := *abi.ConvertType(out[0], new(uint64)).(*uint64)
	return out0, nil
}

// PackProposeBlobs is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xb3374134.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function proposeBlobs(bytes32 parentProposal, bytes32 parentHash, uint16 forcedCount, uint32 offset) returns(uint64 id)
func (inbox *Inbox) PackProposeBlobs(parentProposal [32]byte, parentHash [32]byte, forcedCount uint16, offset uint32) []byte {
	enc, err := inbox.abi.Pack("proposeBlobs", parentProposal, parentHash, forcedCount, offset)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackProposeBlobs is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xb3374134.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function proposeBlobs(bytes32 parentProposal, bytes32 parentHash, uint16 forcedCount, uint32 offset) returns(uint64 id)
func (inbox *Inbox) TryPackProposeBlobs(parentProposal [32]byte, parentHash [32]byte, forcedCount uint16, offset uint32) ([]byte, error) {
	return inbox.abi.Pack("proposeBlobs", parentProposal, parentHash, forcedCount, offset)
}

// UnpackProposeBlobs is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0xb3374134.
//
// Solidity: function proposeBlobs(bytes32 parentProposal, bytes32 parentHash, uint16 forcedCount, uint32 offset) returns(uint64 id)
func (inbox *Inbox) UnpackProposeBlobs(data []byte) (uint64, error) {
	out, err := inbox.abi.Unpack("proposeBlobs", data)
	if err != nil {
		return *new(uint64), err
	}
	out0 := *abi.ConvertType(out[0], new(uint64)).(*uint64)
	return out0, nil
}

// PackSetForcedFee is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x9103645b.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function setForcedFee(uint64 gasPerByte) returns()
func (inbox *Inbox) PackSetForcedFee(gasPerByte uint64) []byte {
	enc, err := inbox.abi.Pack("setForcedFee", gasPerByte)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackSetForcedFee is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x9103645b.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function setForcedFee(uint64 gasPerByte) returns()
func (inbox *Inbox) TryPackSetForcedFee(gasPerByte uint64) ([]byte, error) {
	return inbox.abi.Pack("setForcedFee", gasPerByte)
}

// PackSetOwner is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x13af4035.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function setOwner(address owner_) returns()
func (inbox *Inbox) PackSetOwner(owner common.Address) []byte {
	enc, err := inbox.abi.Pack("setOwner", owner)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackSetOwner is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x13af4035.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function setOwner(address owner_) returns()
func (inbox *Inbox) TryPackSetOwner(owner common.Address) ([]byte, error) {
	return inbox.abi.Pack("setOwner", owner)
}

// PackSetProposer is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xe9ed9b64.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function setProposer(address proposer, bool allowed) returns()
func (inbox *Inbox) PackSetProposer(proposer common.Address, allowed bool) []byte {
	enc, err := inbox.abi.Pack("setProposer", proposer, allowed)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackSetProposer is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xe9ed9b64.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function setProposer(address proposer, bool allowed) returns()
func (inbox *Inbox) TryPackSetProposer(proposer common.Address, allowed bool) ([]byte, error) {
	return inbox.abi.Pack("setProposer", proposer, allowed)
}

// PackVersion is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x54fd4d50.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function version() pure returns(uint256)
func (inbox *Inbox) PackVersion() []byte {
	enc, err := inbox.abi.Pack("version")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackVersion is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x54fd4d50.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function version() pure returns(uint256)
func (inbox *Inbox) TryPackVersion() ([]byte, error) {
	return inbox.abi.Pack("version")
}

// UnpackVersion is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x54fd4d50.
//
// Solidity: function version() pure returns(uint256)
func (inbox *Inbox) UnpackVersion(data []byte) (*big.Int, error) {
	out, err := inbox.abi.Unpack("version", data)
	if err != nil {
		return new(big.Int), err
	}
	out0 := abi.ConvertType(out[0], new(big.Int)).(*big.Int)
	return out0, nil
}

// PackWithdraw is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x51cff8d9.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function withdraw(address to) returns()
func (inbox *Inbox) PackWithdraw(to common.Address) []byte {
	enc, err := inbox.abi.Pack("withdraw", to)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackWithdraw is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x51cff8d9.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function withdraw(address to) returns()
func (inbox *Inbox) TryPackWithdraw(to common.Address) ([]byte, error) {
	return inbox.abi.Pack("withdraw", to)
}

// InboxFeesWithdrawn represents a FeesWithdrawn event raised by the Inbox contract.
type InboxFeesWithdrawn struct {
	To     common.Address
	Amount *big.Int
	Raw    *types.Log // Blockchain specific contextual infos
}

const InboxFeesWithdrawnEventName = "FeesWithdrawn"

// ContractEventName returns the user-defined event name.
func (InboxFeesWithdrawn) ContractEventName() string {
	return InboxFeesWithdrawnEventName
}

// UnpackFeesWithdrawnEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event FeesWithdrawn(address indexed to, uint256 amount)
func (inbox *Inbox) UnpackFeesWithdrawnEvent(log *types.Log) (*InboxFeesWithdrawn, error) {
	event := "FeesWithdrawn"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != inbox.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(InboxFeesWithdrawn)
	if len(log.Data) > 0 {
		if err := inbox.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range inbox.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// InboxForcedFeeSet represents a ForcedFeeSet event raised by the Inbox contract.
type InboxForcedFeeSet struct {
	GasPerByte uint64
	Raw        *types.Log // Blockchain specific contextual infos
}

const InboxForcedFeeSetEventName = "ForcedFeeSet"

// ContractEventName returns the user-defined event name.
func (InboxForcedFeeSet) ContractEventName() string {
	return InboxForcedFeeSetEventName
}

// UnpackForcedFeeSetEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event ForcedFeeSet(uint64 gasPerByte)
func (inbox *Inbox) UnpackForcedFeeSetEvent(log *types.Log) (*InboxForcedFeeSet, error) {
	event := "ForcedFeeSet"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != inbox.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(InboxForcedFeeSet)
	if len(log.Data) > 0 {
		if err := inbox.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range inbox.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// InboxForcedPaid represents a ForcedPaid event raised by the Inbox contract.
type InboxForcedPaid struct {
	Index uint64
	Fee   *big.Int
	Raw   *types.Log // Blockchain specific contextual infos
}

const InboxForcedPaidEventName = "ForcedPaid"

// ContractEventName returns the user-defined event name.
func (InboxForcedPaid) ContractEventName() string {
	return InboxForcedPaidEventName
}

// UnpackForcedPaidEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event ForcedPaid(uint64 indexed index, uint256 fee)
func (inbox *Inbox) UnpackForcedPaidEvent(log *types.Log) (*InboxForcedPaid, error) {
	event := "ForcedPaid"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != inbox.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(InboxForcedPaid)
	if len(log.Data) > 0 {
		if err := inbox.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range inbox.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// InboxForcedQueued represents a ForcedQueued event raised by the Inbox contract.
type InboxForcedQueued struct {
	Index  uint64
	Sender common.Address
	Source InboxSource
	Raw    *types.Log // Blockchain specific contextual infos
}

const InboxForcedQueuedEventName = "ForcedQueued"

// ContractEventName returns the user-defined event name.
func (InboxForcedQueued) ContractEventName() string {
	return InboxForcedQueuedEventName
}

// UnpackForcedQueuedEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event ForcedQueued(uint64 indexed index, address indexed sender, (bool,uint64,uint64,uint64,uint32,bytes32,bytes32[]) source)
func (inbox *Inbox) UnpackForcedQueuedEvent(log *types.Log) (*InboxForcedQueued, error) {
	event := "ForcedQueued"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != inbox.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(InboxForcedQueued)
	if len(log.Data) > 0 {
		if err := inbox.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range inbox.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// InboxOwnerSet represents a OwnerSet event raised by the Inbox contract.
type InboxOwnerSet struct {
	Owner common.Address
	Raw   *types.Log // Blockchain specific contextual infos
}

const InboxOwnerSetEventName = "OwnerSet"

// ContractEventName returns the user-defined event name.
func (InboxOwnerSet) ContractEventName() string {
	return InboxOwnerSetEventName
}

// UnpackOwnerSetEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event OwnerSet(address indexed owner)
func (inbox *Inbox) UnpackOwnerSetEvent(log *types.Log) (*InboxOwnerSet, error) {
	event := "OwnerSet"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != inbox.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(InboxOwnerSet)
	if len(log.Data) > 0 {
		if err := inbox.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range inbox.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// InboxProposed represents a Proposed event raised by the Inbox contract.
type InboxProposed struct {
	Id         uint64
	Proposer   common.Address
	ParentHash [32]byte
	Sources    []InboxSource
	Raw        *types.Log // Blockchain specific contextual infos
}

const InboxProposedEventName = "Proposed"

// ContractEventName returns the user-defined event name.
func (InboxProposed) ContractEventName() string {
	return InboxProposedEventName
}

// UnpackProposedEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event Proposed(uint64 indexed id, address indexed proposer, bytes32 parentHash, (bool,uint64,uint64,uint64,uint32,bytes32,bytes32[])[] sources)
func (inbox *Inbox) UnpackProposedEvent(log *types.Log) (*InboxProposed, error) {
	event := "Proposed"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != inbox.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(InboxProposed)
	if len(log.Data) > 0 {
		if err := inbox.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range inbox.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// InboxProposerSet represents a ProposerSet event raised by the Inbox contract.
type InboxProposerSet struct {
	Proposer common.Address
	Allowed  bool
	Raw      *types.Log // Blockchain specific contextual infos
}

const InboxProposerSetEventName = "ProposerSet"

// ContractEventName returns the user-defined event name.
func (InboxProposerSet) ContractEventName() string {
	return InboxProposerSetEventName
}

// UnpackProposerSetEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event ProposerSet(address indexed proposer, bool allowed)
func (inbox *Inbox) UnpackProposerSetEvent(log *types.Log) (*InboxProposerSet, error) {
	event := "ProposerSet"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != inbox.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(InboxProposerSet)
	if len(log.Data) > 0 {
		if err := inbox.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range inbox.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// InboxProved represents a Proved event raised by the Inbox contract.
type InboxProved struct {
	Id        uint64
	BlockHash [32]byte
	Raw       *types.Log // Blockchain specific contextual infos
}

const InboxProvedEventName = "Proved"

// ContractEventName returns the user-defined event name.
func (InboxProved) ContractEventName() string {
	return InboxProvedEventName
}

// UnpackProvedEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event Proved(uint64 indexed id, bytes32 blockHash)
func (inbox *Inbox) UnpackProvedEvent(log *types.Log) (*InboxProved, error) {
	event := "Proved"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != inbox.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(InboxProved)
	if len(log.Data) > 0 {
		if err := inbox.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range inbox.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// UnpackError attempts to decode the provided error data using user-defined
// error definitions.
func (inbox *Inbox) UnpackError(raw []byte) (any, error) {
	if bytes.Equal(raw[:4], inbox.abi.Errors["BadProof"].ID.Bytes()[:4]) {
		return inbox.UnpackBadProofError(raw[4:])
	}
	if bytes.Equal(raw[:4], inbox.abi.Errors["BadSetting"].ID.Bytes()[:4]) {
		return inbox.UnpackBadSettingError(raw[4:])
	}
	if bytes.Equal(raw[:4], inbox.abi.Errors["ContentTooBig"].ID.Bytes()[:4]) {
		return inbox.UnpackContentTooBigError(raw[4:])
	}
	if bytes.Equal(raw[:4], inbox.abi.Errors["FeeTooLow"].ID.Bytes()[:4]) {
		return inbox.UnpackFeeTooLowError(raw[4:])
	}
	if bytes.Equal(raw[:4], inbox.abi.Errors["ForcedDue"].ID.Bytes()[:4]) {
		return inbox.UnpackForcedDueError(raw[4:])
	}
	if bytes.Equal(raw[:4], inbox.abi.Errors["ForcedTooMany"].ID.Bytes()[:4]) {
		return inbox.UnpackForcedTooManyError(raw[4:])
	}
	if bytes.Equal(raw[:4], inbox.abi.Errors["NoContent"].ID.Bytes()[:4]) {
		return inbox.UnpackNoContentError(raw[4:])
	}
	if bytes.Equal(raw[:4], inbox.abi.Errors["NotOwner"].ID.Bytes()[:4]) {
		return inbox.UnpackNotOwnerError(raw[4:])
	}
	if bytes.Equal(raw[:4], inbox.abi.Errors["NotPaidOut"].ID.Bytes()[:4]) {
		return inbox.UnpackNotPaidOutError(raw[4:])
	}
	if bytes.Equal(raw[:4], inbox.abi.Errors["NotProposer"].ID.Bytes()[:4]) {
		return inbox.UnpackNotProposerError(raw[4:])
	}
	if bytes.Equal(raw[:4], inbox.abi.Errors["OnePerBlock"].ID.Bytes()[:4]) {
		return inbox.UnpackOnePerBlockError(raw[4:])
	}
	if bytes.Equal(raw[:4], inbox.abi.Errors["StaleParent"].ID.Bytes()[:4]) {
		return inbox.UnpackStaleParentError(raw[4:])
	}
	return nil, errors.New("Unknown error")
}

// InboxBadProof represents a BadProof error raised by the Inbox contract.
type InboxBadProof struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error BadProof()
func InboxBadProofErrorID() common.Hash {
	return common.HexToHash("0x7ca55c774976027f27f73629387ed99a2044a8721aec39c3c2717944b08c423a")
}

// UnpackBadProofError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error BadProof()
func (inbox *Inbox) UnpackBadProofError(raw []byte) (*InboxBadProof, error) {
	out := new(InboxBadProof)
	if err := inbox.abi.UnpackIntoInterface(out, "BadProof", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// InboxBadSetting represents a BadSetting error raised by the Inbox contract.
type InboxBadSetting struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error BadSetting()
func InboxBadSettingErrorID() common.Hash {
	return common.HexToHash("0xa1fd3ee36c642fd298e2e3574cf211fe70132503c32d6cb9eb6dff89f243d250")
}

// UnpackBadSettingError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error BadSetting()
func (inbox *Inbox) UnpackBadSettingError(raw []byte) (*InboxBadSetting, error) {
	out := new(InboxBadSetting)
	if err := inbox.abi.UnpackIntoInterface(out, "BadSetting", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// InboxContentTooBig represents a ContentTooBig error raised by the Inbox contract.
type InboxContentTooBig struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error ContentTooBig()
func InboxContentTooBigErrorID() common.Hash {
	return common.HexToHash("0x5ee68a657084861c9b2a1e81de26be3622213a4be9148e483c955c4deb2d03e0")
}

// UnpackContentTooBigError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error ContentTooBig()
func (inbox *Inbox) UnpackContentTooBigError(raw []byte) (*InboxContentTooBig, error) {
	out := new(InboxContentTooBig)
	if err := inbox.abi.UnpackIntoInterface(out, "ContentTooBig", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// InboxFeeTooLow represents a FeeTooLow error raised by the Inbox contract.
type InboxFeeTooLow struct {
	Fee *big.Int
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error FeeTooLow(uint256 fee)
func InboxFeeTooLowErrorID() common.Hash {
	return common.HexToHash("0x53e5def34d000817f3fbeaa076bb156a587a086554654ecbfc4826264b45f8bb")
}

// UnpackFeeTooLowError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error FeeTooLow(uint256 fee)
func (inbox *Inbox) UnpackFeeTooLowError(raw []byte) (*InboxFeeTooLow, error) {
	out := new(InboxFeeTooLow)
	if err := inbox.abi.UnpackIntoInterface(out, "FeeTooLow", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// InboxForcedDue represents a ForcedDue error raised by the Inbox contract.
type InboxForcedDue struct {
	Due *big.Int
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error ForcedDue(uint256 due)
func InboxForcedDueErrorID() common.Hash {
	return common.HexToHash("0x7a81969cf6b263180b0609ef6c89b80d707b44139be800459761d93dbfcf5174")
}

// UnpackForcedDueError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error ForcedDue(uint256 due)
func (inbox *Inbox) UnpackForcedDueError(raw []byte) (*InboxForcedDue, error) {
	out := new(InboxForcedDue)
	if err := inbox.abi.UnpackIntoInterface(out, "ForcedDue", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// InboxForcedTooMany represents a ForcedTooMany error raised by the Inbox contract.
type InboxForcedTooMany struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error ForcedTooMany()
func InboxForcedTooManyErrorID() common.Hash {
	return common.HexToHash("0x0483db2c0a680d7b7da917735993a986efce4e157fb004715c23d5d52aeb73aa")
}

// UnpackForcedTooManyError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error ForcedTooMany()
func (inbox *Inbox) UnpackForcedTooManyError(raw []byte) (*InboxForcedTooMany, error) {
	out := new(InboxForcedTooMany)
	if err := inbox.abi.UnpackIntoInterface(out, "ForcedTooMany", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// InboxNoContent represents a NoContent error raised by the Inbox contract.
type InboxNoContent struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error NoContent()
func InboxNoContentErrorID() common.Hash {
	return common.HexToHash("0x93a0236d3fa25b22cab7e7dcf8b57a977347ca3351001f916bfb713059355393")
}

// UnpackNoContentError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error NoContent()
func (inbox *Inbox) UnpackNoContentError(raw []byte) (*InboxNoContent, error) {
	out := new(InboxNoContent)
	if err := inbox.abi.UnpackIntoInterface(out, "NoContent", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// InboxNotOwner represents a NotOwner error raised by the Inbox contract.
type InboxNotOwner struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error NotOwner()
func InboxNotOwnerErrorID() common.Hash {
	return common.HexToHash("0x30cd74712f59d478562d48e2d35de830db72c60a63dd08ae59199eec990b5bc4")
}

// UnpackNotOwnerError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error NotOwner()
func (inbox *Inbox) UnpackNotOwnerError(raw []byte) (*InboxNotOwner, error) {
	out := new(InboxNotOwner)
	if err := inbox.abi.UnpackIntoInterface(out, "NotOwner", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// InboxNotPaidOut represents a NotPaidOut error raised by the Inbox contract.
type InboxNotPaidOut struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error NotPaidOut()
func InboxNotPaidOutErrorID() common.Hash {
	return common.HexToHash("0x91d3c772e131b66e9e15be4e1635c1036b37fb5b82fd5089735e11101e923f33")
}

// UnpackNotPaidOutError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error NotPaidOut()
func (inbox *Inbox) UnpackNotPaidOutError(raw []byte) (*InboxNotPaidOut, error) {
	out := new(InboxNotPaidOut)
	if err := inbox.abi.UnpackIntoInterface(out, "NotPaidOut", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// InboxNotProposer represents a NotProposer error raised by the Inbox contract.
type InboxNotProposer struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error NotProposer()
func InboxNotProposerErrorID() common.Hash {
	return common.HexToHash("0x7d1b73b9e4d2de7c54c7f525eb1bb198f28468e4744a3abe465a704d5a4c471f")
}

// UnpackNotProposerError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error NotProposer()
func (inbox *Inbox) UnpackNotProposerError(raw []byte) (*InboxNotProposer, error) {
	out := new(InboxNotProposer)
	if err := inbox.abi.UnpackIntoInterface(out, "NotProposer", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// InboxOnePerBlock represents a OnePerBlock error raised by the Inbox contract.
type InboxOnePerBlock struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error OnePerBlock()
func InboxOnePerBlockErrorID() common.Hash {
	return common.HexToHash("0x123e6da3803baab085abda36acfa05965058f1de47f0d881da9c3fe5beeb6c71")
}

// UnpackOnePerBlockError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error OnePerBlock()
func (inbox *Inbox) UnpackOnePerBlockError(raw []byte) (*InboxOnePerBlock, error) {
	out := new(InboxOnePerBlock)
	if err := inbox.abi.UnpackIntoInterface(out, "OnePerBlock", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// InboxStaleParent represents a StaleParent error raised by the Inbox contract.
type InboxStaleParent struct {
	LastProposal [32]byte
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error StaleParent(bytes32 lastProposal)
func InboxStaleParentErrorID() common.Hash {
	return common.HexToHash("0xc4c5f53ba4368dfa1e7a95b28dc90a8eb0e9acee740ed94401cba539c580e9e3")
}

// UnpackStaleParentError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error StaleParent(bytes32 lastProposal)
func (inbox *Inbox) UnpackStaleParentError(raw []byte) (*InboxStaleParent, error) {
	out := new(InboxStaleParent)
	if err := inbox.abi.UnpackIntoInterface(out, "StaleParent", raw); err != nil {
		return nil, err
	}
	return out, nil
}
