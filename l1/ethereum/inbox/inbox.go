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
	ABI: "[{\"inputs\":[{\"internalType\":\"address\",\"name\":\"owner_\",\"type\":\"address\"},{\"internalType\":\"uint64\",\"name\":\"forcedDelay_\",\"type\":\"uint64\"},{\"internalType\":\"uint16\",\"name\":\"forcedMax_\",\"type\":\"uint16\"},{\"internalType\":\"address[]\",\"name\":\"proposers\",\"type\":\"address[]\"}],\"stateMutability\":\"nonpayable\",\"type\":\"constructor\"},{\"inputs\":[],\"name\":\"BadProof\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"BadSetting\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"ContentTooBig\",\"type\":\"error\"},{\"inputs\":[{\"internalType\":\"uint256\",\"name\":\"due\",\"type\":\"uint256\"}],\"name\":\"ForcedDue\",\"type\":\"error\"},{\"inputs\":[{\"internalType\":\"uint256\",\"name\":\"available\",\"type\":\"uint256\"}],\"name\":\"ForcedTooMany\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"NoContent\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"NotOwner\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"NotProposer\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"OnePerBlock\",\"type\":\"error\"},{\"inputs\":[{\"internalType\":\"bytes32\",\"name\":\"lastProposal\",\"type\":\"bytes32\"}],\"name\":\"StaleParent\",\"type\":\"error\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"},{\"indexed\":true,\"internalType\":\"address\",\"name\":\"sender\",\"type\":\"address\"},{\"components\":[{\"internalType\":\"bool\",\"name\":\"forced\",\"type\":\"bool\"},{\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"blockNumber\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"timestamp\",\"type\":\"uint64\"},{\"internalType\":\"uint32\",\"name\":\"offset\",\"type\":\"uint32\"},{\"internalType\":\"bytes32\",\"name\":\"dataHash\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32[]\",\"name\":\"blobHashes\",\"type\":\"bytes32[]\"}],\"indexed\":false,\"internalType\":\"structInbox.Source\",\"name\":\"source\",\"type\":\"tuple\"}],\"name\":\"ForcedQueued\",\"type\":\"event\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"address\",\"name\":\"owner\",\"type\":\"address\"}],\"name\":\"OwnerSet\",\"type\":\"event\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"uint64\",\"name\":\"id\",\"type\":\"uint64\"},{\"indexed\":true,\"internalType\":\"address\",\"name\":\"proposer\",\"type\":\"address\"},{\"indexed\":false,\"internalType\":\"bytes32\",\"name\":\"parentHash\",\"type\":\"bytes32\"},{\"components\":[{\"internalType\":\"bool\",\"name\":\"forced\",\"type\":\"bool\"},{\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"blockNumber\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"timestamp\",\"type\":\"uint64\"},{\"internalType\":\"uint32\",\"name\":\"offset\",\"type\":\"uint32\"},{\"internalType\":\"bytes32\",\"name\":\"dataHash\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32[]\",\"name\":\"blobHashes\",\"type\":\"bytes32[]\"}],\"indexed\":false,\"internalType\":\"structInbox.Source[]\",\"name\":\"sources\",\"type\":\"tuple[]\"}],\"name\":\"Proposed\",\"type\":\"event\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"address\",\"name\":\"proposer\",\"type\":\"address\"},{\"indexed\":false,\"internalType\":\"bool\",\"name\":\"allowed\",\"type\":\"bool\"}],\"name\":\"ProposerSet\",\"type\":\"event\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"uint64\",\"name\":\"id\",\"type\":\"uint64\"},{\"indexed\":false,\"internalType\":\"bytes32\",\"name\":\"blockHash\",\"type\":\"bytes32\"}],\"name\":\"Proved\",\"type\":\"event\"},{\"inputs\":[],\"name\":\"FORCED_DATA_MAX\",\"outputs\":[{\"internalType\":\"uint256\",\"name\":\"\",\"type\":\"uint256\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"uint64\",\"name\":\"id\",\"type\":\"uint64\"},{\"internalType\":\"bytes32\",\"name\":\"blockHash\",\"type\":\"bytes32\"}],\"name\":\"finalize\",\"outputs\":[],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"bytes\",\"name\":\"data\",\"type\":\"bytes\"}],\"name\":\"force\",\"outputs\":[{\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"}],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"forcedDelay\",\"outputs\":[{\"internalType\":\"uint64\",\"name\":\"\",\"type\":\"uint64\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"forcedDue\",\"outputs\":[{\"internalType\":\"uint256\",\"name\":\"due\",\"type\":\"uint256\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"forcedMax\",\"outputs\":[{\"internalType\":\"uint16\",\"name\":\"\",\"type\":\"uint16\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"getCoreState\",\"outputs\":[{\"components\":[{\"internalType\":\"uint64\",\"name\":\"nextId\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"lastBlock\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"finalizedId\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"forcedHead\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"forcedTail\",\"type\":\"uint64\"},{\"internalType\":\"bytes32\",\"name\":\"lastProposal\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32\",\"name\":\"finalizedHash\",\"type\":\"bytes32\"}],\"internalType\":\"structInbox.CoreState\",\"name\":\"\",\"type\":\"tuple\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"}],\"name\":\"getForced\",\"outputs\":[{\"components\":[{\"internalType\":\"bool\",\"name\":\"forced\",\"type\":\"bool\"},{\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"blockNumber\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"timestamp\",\"type\":\"uint64\"},{\"internalType\":\"uint32\",\"name\":\"offset\",\"type\":\"uint32\"},{\"internalType\":\"bytes32\",\"name\":\"dataHash\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32[]\",\"name\":\"blobHashes\",\"type\":\"bytes32[]\"}],\"internalType\":\"structInbox.Source\",\"name\":\"\",\"type\":\"tuple\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"uint64\",\"name\":\"id\",\"type\":\"uint64\"}],\"name\":\"getProposalHash\",\"outputs\":[{\"internalType\":\"bytes32\",\"name\":\"\",\"type\":\"bytes32\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"address\",\"name\":\"\",\"type\":\"address\"}],\"name\":\"isProposer\",\"outputs\":[{\"internalType\":\"bool\",\"name\":\"\",\"type\":\"bool\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"owner\",\"outputs\":[{\"internalType\":\"address\",\"name\":\"\",\"type\":\"address\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"bytes32\",\"name\":\"parentProposal\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32\",\"name\":\"parentHash\",\"type\":\"bytes32\"},{\"internalType\":\"uint16\",\"name\":\"forcedCount\",\"type\":\"uint16\"},{\"internalType\":\"bytes\",\"name\":\"data\",\"type\":\"bytes\"}],\"name\":\"propose\",\"outputs\":[{\"internalType\":\"uint64\",\"name\":\"id\",\"type\":\"uint64\"}],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"bytes32\",\"name\":\"parentProposal\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32\",\"name\":\"parentHash\",\"type\":\"bytes32\"},{\"internalType\":\"uint16\",\"name\":\"forcedCount\",\"type\":\"uint16\"},{\"internalType\":\"uint32\",\"name\":\"offset\",\"type\":\"uint32\"}],\"name\":\"proposeBlobs\",\"outputs\":[{\"internalType\":\"uint64\",\"name\":\"id\",\"type\":\"uint64\"}],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"address\",\"name\":\"owner_\",\"type\":\"address\"}],\"name\":\"setOwner\",\"outputs\":[],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"address\",\"name\":\"proposer\",\"type\":\"address\"},{\"internalType\":\"bool\",\"name\":\"allowed\",\"type\":\"bool\"}],\"name\":\"setProposer\",\"outputs\":[],\"stateMutability\":\"nonpayable\",\"type\":\"function\"}]",
	ID:  "Inbox",
	Bin: "0x60c060405234610209576116688038038061001981610221565b9283398101906080818303126102095761003281610246565b60208201516001600160401b03811681036102095760408301519161ffff831693848403610209576060810151906001600160401b03821161020957019480601f87011215610209578551956001600160401b03871161020d578660051b9060208061009f818501610221565b809a8152019282010192831161020957602001905b8282106101f1575050506001600160a01b03169283159081156101e8575b506101d9575f80546001600160a01b0319168417815560809190915260a091909152600480546001600160401b03191660011790557f50146d0e3c60aa1d17a70635b05494f864e86144a2201275021014fbf08bafe29080a25f5b81518110156101a3576001906001600160a01b0361014b828561025a565b51165f528160205260405f208260ff19825416179055818060a01b03610171828561025a565b51167ffc7858ed770f3bd9c19525fe1de2c94c7d048128ade2219d82b32d888a45a7d26020604051858152a20161012d565b6040516113e5908161028382396080518181816102d90152610d05015260a0518181816105ba01528181610d270152610f9e0152f35b63a1fd3ee360e01b5f5260045ffd5b9050155f6100d2565b602080916101fe84610246565b8152019101906100b4565b5f80fd5b634e487b7160e01b5f52604160045260245ffd5b6040519190601f01601f191682016001600160401b0381118382101761020d57604052565b51906001600160a01b038216820361020957565b805182101561026e5760209160051b010190565b634e487b7160e01b5f52603260045260245ffdfe60806040526004361015610011575f80fd5b5f3560e01c80630e6e6b2414610abe57806313af4035146109f35780633bfa5b28146109d75780634965c9d51461070d5780636aa6a01a1461062857806374ec29a0146105de57806379de9ce2146105a05780638da5cb5b1461056e578063ae68e5681461054c578063b33741341461044f578063bacfb32314610336578063cfef1a5f146102fd578063d871e38f146102b9578063e2258d91146101b35763e9ed9b64146100be575f80fd5b346101af5760406003193601126101af576100d7610b51565b60243590811515908183036101af5773ffffffffffffffffffffffffffffffffffffffff5f54163303610187577ffc7858ed770f3bd9c19525fe1de2c94c7d048128ade2219d82b32d888a45a7d29161017e73ffffffffffffffffffffffffffffffffffffffff6020931694855f526001845260405f209060ff7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff0083541691151516179055565b604051908152a2005b7f30cd7471000000000000000000000000000000000000000000000000000000005f5260045ffd5b5f80fd5b346101af5760206003193601126101af5767ffffffffffffffff6101d5610b74565b6101dd610dc3565b50165f52600360205260405f206002604051916101f983610c29565b63ffffffff815460ff81161515855267ffffffffffffffff8160081c16602086015267ffffffffffffffff8160481c16604086015267ffffffffffffffff8160881c16606086015260c81c166080840152600181015460a084015201906040519182602082549182815201915f5260205f20905f5b8181106102a35761029f858761028681880382610c45565b60c0820152604051918291602083526020830190610b8b565b0390f35b825484526020909301926001928301920161026e565b346101af575f6003193601126101af57602060405167ffffffffffffffff7f0000000000000000000000000000000000000000000000000000000000000000168152f35b346101af5760206003193601126101af5767ffffffffffffffff61031f610b74565b165f526002602052602060405f2054604051908152f35b346101af5760406003193601126101af5761034f610b74565b6024359073ffffffffffffffffffffffffffffffffffffffff5f54163303610187576004549067ffffffffffffffff81169267ffffffffffffffff8360801c16841180159061043b575b610413577f20cb73f2c1483f8446d834f39359e959a028008497f5181d4d86b32bcc1e1ce1927fffffffffffffffff0000000000000000ffffffffffffffffffffffffffffffff77ffffffffffffffff0000000000000000000000000000000060209460801b1691161760045580600755604051908152a2005b7f7ca55c77000000000000000000000000000000000000000000000000000000005f5260045ffd5b5067ffffffffffffffff8316841015610399565b346101af5760806003193601126101af57610468610b12565b6064359063ffffffff82168092036101af57610482610dc3565b505f5b804961053e57801561051657610499611384565b9260808401526104a88161136c565b6104b56040519182610c45565b818152601f196104c48361136c565b0136602083013760c084019081525f5b8281106104ff5760206104ed8686602435600435610f1a565b67ffffffffffffffff60405191168152f35b806001914961050f828551610e62565b52016104d4565b7f93a0236d000000000000000000000000000000000000000000000000000000005f5260045ffd5b61054790610cc4565b610485565b346101af575f6003193601126101af576020610566610cf1565b604051908152f35b346101af575f6003193601126101af57602073ffffffffffffffffffffffffffffffffffffffff5f5416604051908152f35b346101af575f6003193601126101af57602060405161ffff7f0000000000000000000000000000000000000000000000000000000000000000168152f35b346101af5760206003193601126101af5773ffffffffffffffffffffffffffffffffffffffff61060c610b51565b165f526001602052602060ff60405f2054166040519015158152f35b346101af575f6003193601126101af575f60c060405161064781610c29565b8281528260208201528260408201528260608201528260808201528260a0820152015260e060405161067881610c29565b6004549067ffffffffffffffff82169182825267ffffffffffffffff6020830191818160401c168352816040850191818160801c168352606086019060c01c81528180600554169360808801948552816006549760a08a0198895260c06007549a01998a526040519a8b52511660208a01525116604088015251166060860152511660808401525160a08301525160c0820152f35b346101af5760206003193601126101af5760043567ffffffffffffffff81116101af5761073e903690600401610b23565b61800081116109af5761075091610df9565b60055467ffffffffffffffff8116907fffffffffffffffffffffffffffffffffffffffffffffffff000000000000000067ffffffffffffffff61079284610ea3565b1691161760055560018252600260208301828152825f52600360205260405f20906107eb85511515839060ff7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff0083541691151516179055565b51815470ffffffffffffffff000000000000000000604087015160481b167fffffff00000000ffffffffffffffffffffffffffffffffffffffffffffffffff78ffffffffffffffff0000000000000000000000000000000000606089015160881b16927fffffffffffffff000000000000000000000000000000000000000000000000ff68ffffffffffffffff007cffffffff0000000000000000000000000000000000000000000000000060808c015160c81b169660081b1691161716171717815560a08401516001820155019160c081015180519067ffffffffffffffff82116109825768010000000000000000821161098257845482865580831061095c575b50602001935f5260205f205f5b8281106109485760208585817f63bdaca547357f22263a549e14ff71fadd033771ad6dddd8d93426a1127dd6c96040518581528061093d339588830190610b8b565b0390a3604051908152f35b6001906020875197019681840155016108fb565b855f528260205f2091820191015b81811061097757506108ee565b5f815560010161096a565b7f4e487b71000000000000000000000000000000000000000000000000000000005f52604160045260245ffd5b7f5ee68a65000000000000000000000000000000000000000000000000000000005f5260045ffd5b346101af575f6003193601126101af5760206040516180008152f35b346101af5760206003193601126101af57610a0c610b51565b5f549073ffffffffffffffffffffffffffffffffffffffff821633036101875773ffffffffffffffffffffffffffffffffffffffff16908115610a96577fffffffffffffffffffffffff0000000000000000000000000000000000000000829116175f557f50146d0e3c60aa1d17a70635b05494f864e86144a2201275021014fbf08bafe25f80a2005b7fa1fd3ee3000000000000000000000000000000000000000000000000000000005f5260045ffd5b346101af5760806003193601126101af57610ad7610b12565b60643567ffffffffffffffff81116101af57602091610b06610b006104ed933690600401610b23565b90610df9565b90602435600435610f1a565b6044359061ffff821682036101af57565b9181601f840112156101af5782359167ffffffffffffffff83116101af57602083818601950101116101af57565b6004359073ffffffffffffffffffffffffffffffffffffffff821682036101af57565b6004359067ffffffffffffffff821682036101af57565b602061010060c060e085019380511515865267ffffffffffffffff84820151168487015267ffffffffffffffff604082015116604087015267ffffffffffffffff606082015116606087015263ffffffff608082015116608087015260a081015160a087015201519360e060c08201528451809452019201905f5b818110610c135750505090565b8251845260209384019390920191600101610c06565b60e0810190811067ffffffffffffffff82111761098257604052565b90601f601f19910116810190811067ffffffffffffffff82111761098257604052565b91908201809211610c7557565b7f4e487b71000000000000000000000000000000000000000000000000000000005f52601160045260245ffd5b9067ffffffffffffffff8091169116019067ffffffffffffffff8211610c7557565b7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff8114610c755760010190565b60045460055467ffffffffffffffff1691907f0000000000000000000000000000000000000000000000000000000000000000907f000000000000000000000000000000000000000000000000000000000000000061ffff169060c01c5f5b82811080610db1575b15610daa5767ffffffffffffffff610d718284610c68565b165f5260036020524267ffffffffffffffff610d96868260405f205460881c16610ca2565b1611610daa57610da590610cc4565b610d50565b9450505050565b5085610dbd8284610c68565b10610d59565b60405190610dd082610c29565b606060c0835f81525f60208201525f60408201525f838201525f60808201525f60a08201520152565b919091610e04610dc3565b50821561051657610e13611384565b9267ffffffffffffffff81116109825760405190610e3b6020601f19601f8401160183610c45565b808252602082019236828201116101af57815f9260209286378301015251902060a0830152565b8051821015610e765760209160051b010190565b7f4e487b71000000000000000000000000000000000000000000000000000000005f52603260045260245ffd5b67ffffffffffffffff1667ffffffffffffffff8114610c755760010190565b9080602083519182815201916020808360051b8301019401925f915b838310610eed57505050505090565b9091929394602080610f0b83601f1986600196030187528951610b8b565b97019301930191939290610ede565b92909192335f52600160205260ff60405f20541615611344576006548082036113195750600454944367ffffffffffffffff8760401c16146112f15761ffff610f61610cf1565b9516948086106112c657508560c01c928367ffffffffffffffff600554160367ffffffffffffffff8111610c755767ffffffffffffffff1661ffff7f0000000000000000000000000000000000000000000000000000000000000000168082116112be575b5080871161129357506001860194858711610c7557601f19611000610fea8861136c565b97610ff8604051998a610c45565b80895261136c565b015f5b81811061127c5750505f5b61ffff8116888110156111165767ffffffffffffffff61102e8289610ca2565b165f52600360205260405f2060026040519161104983610c29565b63ffffffff815460ff81161515855267ffffffffffffffff8160081c16602086015267ffffffffffffffff8160481c16604086015267ffffffffffffffff8160881c16606086015260c81c166080840152600181015460a0840152016040519081602082549182815201915f5260205f20905f905b8082106110fe575050509261ffff9492826110e06110f6946001970382610c45565b60c08201526110ef828d610e62565b528a610e62565b50011661100e565b909192600160208192865481520194019201906110be565b50509195807fffffffffffffffff00000000000000000000000000000000000000000000000061116d611183937f9045525aedfdc59991aed8f3a0449b04922d42bc79034659db392acba07e3ee1979b9598610ca2565b60c01b169561117c8289610e62565b5286610e62565b5067ffffffffffffffff81169377ffffffffffffffffffffffffffffffff000000000000000067ffffffffffffffff6111bb87610ea3565b169216171760045582956040516020810191858352336040830152606082015282608082015260a080820152611206816111f860c0820189610ec2565b03601f198101835282610c45565b519020835f5260026020528060405f20556006556004547fffffffffffffffffffffffffffffffff0000000000000000ffffffffffffffff6fffffffffffffffff00000000000000004360401b16911617600455604051908152604060208201528061127733956040830190610ec2565b0390a3565b602090611287610dc3565b82828b01015201611003565b7fd50ae1b6000000000000000000000000000000000000000000000000000000005f5260045260245ffd5b90505f610fc6565b7f7a81969c000000000000000000000000000000000000000000000000000000005f5260045260245ffd5b7f123e6da3000000000000000000000000000000000000000000000000000000005f5260045ffd5b7fc4c5f53b000000000000000000000000000000000000000000000000000000005f5260045260245ffd5b7f7d1b73b9000000000000000000000000000000000000000000000000000000005f5260045ffd5b67ffffffffffffffff81116109825760051b60200190565b61138c610dc3565b9067ffffffffffffffff4316604083015267ffffffffffffffff4216606083015256fea2646970667358221220a3da243611159fc5039525a1b733102f454b65a0618d99aa1006d4295f7edf3664736f6c634300081e0033",
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
// Solidity: constructor(address owner_, uint64 forcedDelay_, uint16 forcedMax_, address[] proposers) returns()
func (inbox *Inbox) PackConstructor(owner_ common.Address, forcedDelay_ uint64, forcedMax_ uint16, proposers []common.Address) []byte {
	enc, err := inbox.abi.Pack("", owner_, forcedDelay_, forcedMax_, proposers)
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
// Solidity: function force(bytes data) returns(uint64 index)
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
// Solidity: function force(bytes data) returns(uint64 index)
func (inbox *Inbox) TryPackForce(data []byte) ([]byte, error) {
	return inbox.abi.Pack("force", data)
}

// UnpackForce is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x4965c9d5.
//
// Solidity: function force(bytes data) returns(uint64 index)
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

// PackForcedMax is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x79de9ce2.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function forcedMax() view returns(uint16)
func (inbox *Inbox) PackForcedMax() []byte {
	enc, err := inbox.abi.Pack("forcedMax")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackForcedMax is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x79de9ce2.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function forcedMax() view returns(uint16)
func (inbox *Inbox) TryPackForcedMax() ([]byte, error) {
	return inbox.abi.Pack("forcedMax")
}

// UnpackForcedMax is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x79de9ce2.
//
// Solidity: function forcedMax() view returns(uint16)
func (inbox *Inbox) UnpackForcedMax(data []byte) (uint16, error) {
	out, err := inbox.abi.Unpack("forcedMax", data)
	if err != nil {
		return *new(uint16), err
	}
	out0 := *abi.ConvertType(out[0], new(uint16)).(*uint16)
	return out0, nil
}

// PackGetCoreState is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x6aa6a01a.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function getCoreState() view returns((uint64,uint64,uint64,uint64,uint64,bytes32,bytes32))
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
// Solidity: function getCoreState() view returns((uint64,uint64,uint64,uint64,uint64,bytes32,bytes32))
func (inbox *Inbox) TryPackGetCoreState() ([]byte, error) {
	return inbox.abi.Pack("getCoreState")
}

// UnpackGetCoreState is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x6aa6a01a.
//
// Solidity: function getCoreState() view returns((uint64,uint64,uint64,uint64,uint64,bytes32,bytes32))
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
// Solidity: function getForced(uint64 index) view returns((bool,uint64,uint64,uint64,uint32,bytes32,bytes32[]))
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
// Solidity: function getForced(uint64 index) view returns((bool,uint64,uint64,uint64,uint32,bytes32,bytes32[]))
func (inbox *Inbox) TryPackGetForced(index uint64) ([]byte, error) {
	return inbox.abi.Pack("getForced", index)
}

// UnpackGetForced is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0xe2258d91.
//
// Solidity: function getForced(uint64 index) view returns((bool,uint64,uint64,uint64,uint32,bytes32,bytes32[]))
func (inbox *Inbox) UnpackGetForced(data []byte) (InboxSource, error) {
	out, err := inbox.abi.Unpack("getForced", data)
	if err != nil {
		return *new(InboxSource), err
	}
	out0 := *abi.ConvertType(out[0], new(InboxSource)).(*InboxSource)
	return out0, nil
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
	Available *big.Int
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error ForcedTooMany(uint256 available)
func InboxForcedTooManyErrorID() common.Hash {
	return common.HexToHash("0xd50ae1b69cc6f9a0351f29b3749730e3cb4c68ef40067269bb09dd7770c8f7aa")
}

// UnpackForcedTooManyError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error ForcedTooMany(uint256 available)
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
