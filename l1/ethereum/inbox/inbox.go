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
	ABI: "[{\"inputs\":[{\"internalType\":\"address\",\"name\":\"owner_\",\"type\":\"address\"},{\"internalType\":\"uint64\",\"name\":\"forcedDelay_\",\"type\":\"uint64\"},{\"internalType\":\"uint16\",\"name\":\"forcedMax_\",\"type\":\"uint16\"},{\"internalType\":\"address[]\",\"name\":\"proposers\",\"type\":\"address[]\"}],\"stateMutability\":\"nonpayable\",\"type\":\"constructor\"},{\"inputs\":[],\"name\":\"BadProof\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"BadSetting\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"ContentTooBig\",\"type\":\"error\"},{\"inputs\":[{\"internalType\":\"uint256\",\"name\":\"due\",\"type\":\"uint256\"}],\"name\":\"ForcedDue\",\"type\":\"error\"},{\"inputs\":[{\"internalType\":\"uint256\",\"name\":\"available\",\"type\":\"uint256\"}],\"name\":\"ForcedTooMany\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"NoContent\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"NotOwner\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"NotProposer\",\"type\":\"error\"},{\"inputs\":[],\"name\":\"OnePerBlock\",\"type\":\"error\"},{\"inputs\":[{\"internalType\":\"bytes32\",\"name\":\"lastProposal\",\"type\":\"bytes32\"}],\"name\":\"StaleParent\",\"type\":\"error\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"},{\"indexed\":true,\"internalType\":\"address\",\"name\":\"sender\",\"type\":\"address\"},{\"components\":[{\"internalType\":\"bool\",\"name\":\"forced\",\"type\":\"bool\"},{\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"blockNumber\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"timestamp\",\"type\":\"uint64\"},{\"internalType\":\"uint32\",\"name\":\"offset\",\"type\":\"uint32\"},{\"internalType\":\"bytes32\",\"name\":\"dataHash\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32[]\",\"name\":\"blobHashes\",\"type\":\"bytes32[]\"}],\"indexed\":false,\"internalType\":\"structInbox.Source\",\"name\":\"source\",\"type\":\"tuple\"}],\"name\":\"ForcedQueued\",\"type\":\"event\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"address\",\"name\":\"owner\",\"type\":\"address\"}],\"name\":\"OwnerSet\",\"type\":\"event\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"uint64\",\"name\":\"id\",\"type\":\"uint64\"},{\"indexed\":true,\"internalType\":\"address\",\"name\":\"proposer\",\"type\":\"address\"},{\"indexed\":false,\"internalType\":\"bytes32\",\"name\":\"parentHash\",\"type\":\"bytes32\"},{\"components\":[{\"internalType\":\"bool\",\"name\":\"forced\",\"type\":\"bool\"},{\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"blockNumber\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"timestamp\",\"type\":\"uint64\"},{\"internalType\":\"uint32\",\"name\":\"offset\",\"type\":\"uint32\"},{\"internalType\":\"bytes32\",\"name\":\"dataHash\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32[]\",\"name\":\"blobHashes\",\"type\":\"bytes32[]\"}],\"indexed\":false,\"internalType\":\"structInbox.Source[]\",\"name\":\"sources\",\"type\":\"tuple[]\"}],\"name\":\"Proposed\",\"type\":\"event\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"address\",\"name\":\"proposer\",\"type\":\"address\"},{\"indexed\":false,\"internalType\":\"bool\",\"name\":\"allowed\",\"type\":\"bool\"}],\"name\":\"ProposerSet\",\"type\":\"event\"},{\"anonymous\":false,\"inputs\":[{\"indexed\":true,\"internalType\":\"uint64\",\"name\":\"id\",\"type\":\"uint64\"},{\"indexed\":false,\"internalType\":\"bytes32\",\"name\":\"blockHash\",\"type\":\"bytes32\"}],\"name\":\"Proved\",\"type\":\"event\"},{\"inputs\":[],\"name\":\"FORCED_DATA_MAX\",\"outputs\":[{\"internalType\":\"uint256\",\"name\":\"\",\"type\":\"uint256\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"uint64\",\"name\":\"id\",\"type\":\"uint64\"},{\"internalType\":\"bytes32\",\"name\":\"blockHash\",\"type\":\"bytes32\"}],\"name\":\"finalize\",\"outputs\":[],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"bytes\",\"name\":\"data\",\"type\":\"bytes\"}],\"name\":\"force\",\"outputs\":[{\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"}],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"uint32\",\"name\":\"offset\",\"type\":\"uint32\"}],\"name\":\"forceBlob\",\"outputs\":[{\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"}],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"forcedDelay\",\"outputs\":[{\"internalType\":\"uint64\",\"name\":\"\",\"type\":\"uint64\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"forcedDue\",\"outputs\":[{\"internalType\":\"uint256\",\"name\":\"due\",\"type\":\"uint256\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"forcedMax\",\"outputs\":[{\"internalType\":\"uint16\",\"name\":\"\",\"type\":\"uint16\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"getCoreState\",\"outputs\":[{\"components\":[{\"internalType\":\"uint64\",\"name\":\"nextId\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"lastBlock\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"finalizedId\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"forcedHead\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"forcedTail\",\"type\":\"uint64\"},{\"internalType\":\"bytes32\",\"name\":\"lastProposal\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32\",\"name\":\"finalizedHash\",\"type\":\"bytes32\"}],\"internalType\":\"structInbox.CoreState\",\"name\":\"\",\"type\":\"tuple\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"}],\"name\":\"getForced\",\"outputs\":[{\"components\":[{\"internalType\":\"bool\",\"name\":\"forced\",\"type\":\"bool\"},{\"internalType\":\"uint64\",\"name\":\"index\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"blockNumber\",\"type\":\"uint64\"},{\"internalType\":\"uint64\",\"name\":\"timestamp\",\"type\":\"uint64\"},{\"internalType\":\"uint32\",\"name\":\"offset\",\"type\":\"uint32\"},{\"internalType\":\"bytes32\",\"name\":\"dataHash\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32[]\",\"name\":\"blobHashes\",\"type\":\"bytes32[]\"}],\"internalType\":\"structInbox.Source\",\"name\":\"\",\"type\":\"tuple\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"uint64\",\"name\":\"id\",\"type\":\"uint64\"}],\"name\":\"getProposalHash\",\"outputs\":[{\"internalType\":\"bytes32\",\"name\":\"\",\"type\":\"bytes32\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"address\",\"name\":\"\",\"type\":\"address\"}],\"name\":\"isProposer\",\"outputs\":[{\"internalType\":\"bool\",\"name\":\"\",\"type\":\"bool\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[],\"name\":\"owner\",\"outputs\":[{\"internalType\":\"address\",\"name\":\"\",\"type\":\"address\"}],\"stateMutability\":\"view\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"bytes32\",\"name\":\"parentProposal\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32\",\"name\":\"parentHash\",\"type\":\"bytes32\"},{\"internalType\":\"uint16\",\"name\":\"forcedCount\",\"type\":\"uint16\"},{\"internalType\":\"bytes\",\"name\":\"data\",\"type\":\"bytes\"}],\"name\":\"propose\",\"outputs\":[{\"internalType\":\"uint64\",\"name\":\"id\",\"type\":\"uint64\"}],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"bytes32\",\"name\":\"parentProposal\",\"type\":\"bytes32\"},{\"internalType\":\"bytes32\",\"name\":\"parentHash\",\"type\":\"bytes32\"},{\"internalType\":\"uint16\",\"name\":\"forcedCount\",\"type\":\"uint16\"},{\"internalType\":\"uint32\",\"name\":\"offset\",\"type\":\"uint32\"}],\"name\":\"proposeBlobs\",\"outputs\":[{\"internalType\":\"uint64\",\"name\":\"id\",\"type\":\"uint64\"}],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"address\",\"name\":\"owner_\",\"type\":\"address\"}],\"name\":\"setOwner\",\"outputs\":[],\"stateMutability\":\"nonpayable\",\"type\":\"function\"},{\"inputs\":[{\"internalType\":\"address\",\"name\":\"proposer\",\"type\":\"address\"},{\"internalType\":\"bool\",\"name\":\"allowed\",\"type\":\"bool\"}],\"name\":\"setProposer\",\"outputs\":[],\"stateMutability\":\"nonpayable\",\"type\":\"function\"}]",
	ID:  "Inbox",
	Bin: "0x60c060405234610209576117328038038061001981610221565b9283398101906080818303126102095761003281610246565b60208201516001600160401b03811681036102095760408301519161ffff831693848403610209576060810151906001600160401b03821161020957019480601f87011215610209578551956001600160401b03871161020d578660051b9060208061009f818501610221565b809a8152019282010192831161020957602001905b8282106101f1575050506001600160a01b03169283159081156101e8575b506101d9575f80546001600160a01b0319168417815560809190915260a091909152600480546001600160401b03191660011790557f50146d0e3c60aa1d17a70635b05494f864e86144a2201275021014fbf08bafe29080a25f5b81518110156101a3576001906001600160a01b0361014b828561025a565b51165f528160205260405f208260ff19825416179055818060a01b03610171828561025a565b51167ffc7858ed770f3bd9c19525fe1de2c94c7d048128ade2219d82b32d888a45a7d26020604051858152a20161012d565b6040516114af908161028382396080518181816102e40152610ba4015260a0518181816106a801528181610bc60152610e3d0152f35b63a1fd3ee360e01b5f5260045ffd5b9050155f6100d2565b602080916101fe84610246565b8152019101906100b4565b5f80fd5b634e487b7160e01b5f52604160045260245ffd5b6040519190601f01601f191682016001600160401b0381118382101761020d57604052565b51906001600160a01b038216820361020957565b805182101561026e5760209160051b010190565b634e487b7160e01b5f52603260045260245ffdfe60806040526004361015610011575f80fd5b5f3560e01c80630e6e6b241461093057806313af4035146108655780633bfa5b28146108495780634965c9d5146107fb5780636aa6a01a1461071657806374ec29a0146106cc57806379de9ce21461068e5780638aca9f1c146105ab5780638da5cb5b14610579578063ae68e56814610557578063b33741341461045a578063bacfb32314610341578063cfef1a5f14610308578063d871e38f146102c4578063e2258d91146101be5763e9ed9b64146100c9575f80fd5b346101ba5760406003193601126101ba576100e26109c3565b60243590811515908183036101ba5773ffffffffffffffffffffffffffffffffffffffff5f54163303610192577ffc7858ed770f3bd9c19525fe1de2c94c7d048128ade2219d82b32d888a45a7d29161018973ffffffffffffffffffffffffffffffffffffffff6020931694855f526001845260405f209060ff7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff0083541691151516179055565b604051908152a2005b7f30cd7471000000000000000000000000000000000000000000000000000000005f5260045ffd5b5f80fd5b346101ba5760206003193601126101ba5767ffffffffffffffff6101e06109e6565b6101e8610c62565b50165f52600360205260405f2060026040519161020483610a9b565b63ffffffff815460ff81161515855267ffffffffffffffff8160081c16602086015267ffffffffffffffff8160481c16604086015267ffffffffffffffff8160881c16606086015260c81c166080840152600181015460a084015201906040519182602082549182815201915f5260205f20905f5b8181106102ae576102aa858761029181880382610ae4565b60c08201526040519182916020835260208301906109fd565b0390f35b8254845260209093019260019283019201610279565b346101ba575f6003193601126101ba57602060405167ffffffffffffffff7f0000000000000000000000000000000000000000000000000000000000000000168152f35b346101ba5760206003193601126101ba5767ffffffffffffffff61032a6109e6565b165f526002602052602060405f2054604051908152f35b346101ba5760406003193601126101ba5761035a6109e6565b6024359073ffffffffffffffffffffffffffffffffffffffff5f54163303610192576004549067ffffffffffffffff81169267ffffffffffffffff8360801c168411801590610446575b61041e577f20cb73f2c1483f8446d834f39359e959a028008497f5181d4d86b32bcc1e1ce1927fffffffffffffffff0000000000000000ffffffffffffffffffffffffffffffff77ffffffffffffffff0000000000000000000000000000000060209460801b1691161760045580600755604051908152a2005b7f7ca55c77000000000000000000000000000000000000000000000000000000005f5260045ffd5b5067ffffffffffffffff83168410156103a4565b346101ba5760806003193601126101ba57610473610984565b6064359063ffffffff82168092036101ba5761048d610c62565b505f5b8049610549578015610521576104a461144e565b9260808401526104b381611436565b6104c06040519182610ae4565b818152601f196104cf83611436565b0136602083013760c084019081525f5b82811061050a5760206104f88686602435600435610db9565b67ffffffffffffffff60405191168152f35b806001914961051a828551610d01565b52016104df565b7f93a0236d000000000000000000000000000000000000000000000000000000005f5260045ffd5b61055290610b63565b610490565b346101ba575f6003193601126101ba576020610571610b90565b604051908152f35b346101ba575f6003193601126101ba57602073ffffffffffffffffffffffffffffffffffffffff5f5416604051908152f35b346101ba5760206003193601126101ba5760043563ffffffff81168091036101ba576105d5610c62565b505f5b80496106805780156105215760018111610658576105f461144e565b91608083015261060381611436565b6106106040519182610ae4565b818152601f1961061f83611436565b0136602083013760c083019081525f5b8281106106415760206104f88561120b565b8060019149610651828551610d01565b520161062f565b7f5ee68a65000000000000000000000000000000000000000000000000000000005f5260045ffd5b61068990610b63565b6105d8565b346101ba575f6003193601126101ba57602060405161ffff7f0000000000000000000000000000000000000000000000000000000000000000168152f35b346101ba5760206003193601126101ba5773ffffffffffffffffffffffffffffffffffffffff6106fa6109c3565b165f526001602052602060ff60405f2054166040519015158152f35b346101ba575f6003193601126101ba575f60c060405161073581610a9b565b8281528260208201528260408201528260608201528260808201528260a0820152015260e060405161076681610a9b565b6004549067ffffffffffffffff82169182825267ffffffffffffffff6020830191818160401c168352816040850191818160801c168352606086019060c01c81528180600554169360808801948552816006549760a08a0198895260c06007549a01998a526040519a8b52511660208a01525116604088015251166060860152511660808401525160a08301525160c0820152f35b346101ba5760206003193601126101ba5760043567ffffffffffffffff81116101ba5761082c903690600401610995565b6180008111610658576108446104f891602093610c98565b61120b565b346101ba575f6003193601126101ba5760206040516180008152f35b346101ba5760206003193601126101ba5761087e6109c3565b5f549073ffffffffffffffffffffffffffffffffffffffff821633036101925773ffffffffffffffffffffffffffffffffffffffff16908115610908577fffffffffffffffffffffffff0000000000000000000000000000000000000000829116175f557f50146d0e3c60aa1d17a70635b05494f864e86144a2201275021014fbf08bafe25f80a2005b7fa1fd3ee3000000000000000000000000000000000000000000000000000000005f5260045ffd5b346101ba5760806003193601126101ba57610949610984565b60643567ffffffffffffffff81116101ba576020916109786109726104f8933690600401610995565b90610c98565b90602435600435610db9565b6044359061ffff821682036101ba57565b9181601f840112156101ba5782359167ffffffffffffffff83116101ba57602083818601950101116101ba57565b6004359073ffffffffffffffffffffffffffffffffffffffff821682036101ba57565b6004359067ffffffffffffffff821682036101ba57565b602061010060c060e085019380511515865267ffffffffffffffff84820151168487015267ffffffffffffffff604082015116604087015267ffffffffffffffff606082015116606087015263ffffffff608082015116608087015260a081015160a087015201519360e060c08201528451809452019201905f5b818110610a855750505090565b8251845260209384019390920191600101610a78565b60e0810190811067ffffffffffffffff821117610ab757604052565b7f4e487b71000000000000000000000000000000000000000000000000000000005f52604160045260245ffd5b90601f601f19910116810190811067ffffffffffffffff821117610ab757604052565b91908201809211610b1457565b7f4e487b71000000000000000000000000000000000000000000000000000000005f52601160045260245ffd5b9067ffffffffffffffff8091169116019067ffffffffffffffff8211610b1457565b7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff8114610b145760010190565b60045460055467ffffffffffffffff1691907f0000000000000000000000000000000000000000000000000000000000000000907f000000000000000000000000000000000000000000000000000000000000000061ffff169060c01c5f5b82811080610c50575b15610c495767ffffffffffffffff610c108284610b07565b165f5260036020524267ffffffffffffffff610c35868260405f205460881c16610b41565b1611610c4957610c4490610b63565b610bef565b9450505050565b5085610c5c8284610b07565b10610bf8565b60405190610c6f82610a9b565b606060c0835f81525f60208201525f60408201525f838201525f60808201525f60a08201520152565b919091610ca3610c62565b50821561052157610cb261144e565b9267ffffffffffffffff8111610ab75760405190610cda6020601f19601f8401160183610ae4565b808252602082019236828201116101ba57815f9260209286378301015251902060a0830152565b8051821015610d155760209160051b010190565b7f4e487b71000000000000000000000000000000000000000000000000000000005f52603260045260245ffd5b67ffffffffffffffff1667ffffffffffffffff8114610b145760010190565b9080602083519182815201916020808360051b8301019401925f915b838310610d8c57505050505090565b9091929394602080610daa83601f19866001960301875289516109fd565b97019301930191939290610d7d565b92909192335f52600160205260ff60405f205416156111e3576006548082036111b85750600454944367ffffffffffffffff8760401c16146111905761ffff610e00610b90565b95169480861061116557508560c01c928367ffffffffffffffff600554160367ffffffffffffffff8111610b145767ffffffffffffffff1661ffff7f00000000000000000000000000000000000000000000000000000000000000001680821161115d575b5080871161113257506001860194858711610b1457601f19610e9f610e8988611436565b97610e97604051998a610ae4565b808952611436565b015f5b81811061111b5750505f5b61ffff811688811015610fb55767ffffffffffffffff610ecd8289610b41565b165f52600360205260405f20600260405191610ee883610a9b565b63ffffffff815460ff81161515855267ffffffffffffffff8160081c16602086015267ffffffffffffffff8160481c16604086015267ffffffffffffffff8160881c16606086015260c81c166080840152600181015460a0840152016040519081602082549182815201915f5260205f20905f905b808210610f9d575050509261ffff949282610f7f610f95946001970382610ae4565b60c0820152610f8e828d610d01565b528a610d01565b500116610ead565b90919260016020819286548152019401920190610f5d565b50509195807fffffffffffffffff00000000000000000000000000000000000000000000000061100c611022937f9045525aedfdc59991aed8f3a0449b04922d42bc79034659db392acba07e3ee1979b9598610b41565b60c01b169561101b8289610d01565b5286610d01565b5067ffffffffffffffff81169377ffffffffffffffffffffffffffffffff000000000000000067ffffffffffffffff61105a87610d42565b169216171760045582956040516020810191858352336040830152606082015282608082015260a0808201526110a58161109760c0820189610d61565b03601f198101835282610ae4565b519020835f5260026020528060405f20556006556004547fffffffffffffffffffffffffffffffff0000000000000000ffffffffffffffff6fffffffffffffffff00000000000000004360401b16911617600455604051908152604060208201528061111633956040830190610d61565b0390a3565b602090611126610c62565b82828b01015201610ea2565b7fd50ae1b6000000000000000000000000000000000000000000000000000000005f5260045260245ffd5b90505f610e65565b7f7a81969c000000000000000000000000000000000000000000000000000000005f5260045260245ffd5b7f123e6da3000000000000000000000000000000000000000000000000000000005f5260045ffd5b7fc4c5f53b000000000000000000000000000000000000000000000000000000005f5260045260245ffd5b7f7d1b73b9000000000000000000000000000000000000000000000000000000005f5260045ffd5b906005549167ffffffffffffffff8316927fffffffffffffffffffffffffffffffffffffffffffffffff000000000000000067ffffffffffffffff61124f86610d42565b169116176005558260018252600260208301828152825f52600360205260405f20906112a985511515839060ff7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff0083541691151516179055565b51815470ffffffffffffffff000000000000000000604087015160481b167fffffff00000000ffffffffffffffffffffffffffffffffffffffffffffffffff78ffffffffffffffff0000000000000000000000000000000000606089015160881b16927fffffffffffffff000000000000000000000000000000000000000000000000ff68ffffffffffffffff007cffffffff0000000000000000000000000000000000000000000000000060808c015160c81b169660081b1691161716171717815560a084015160018201550160c08301519081519167ffffffffffffffff8311610ab757680100000000000000008311610ab7578154838355808410611410575b50602001905f5260205f205f5b8381106113fc57505050507f63bdaca547357f22263a549e14ff71fadd033771ad6dddd8d93426a1127dd6c96040516020815280611116339560208301906109fd565b6001906020845194019381840155016113b9565b825f528360205f2091820191015b81811061142b57506113ac565b5f815560010161141e565b67ffffffffffffffff8111610ab75760051b60200190565b611456610c62565b9067ffffffffffffffff4316604083015267ffffffffffffffff4216606083015256fea264697066735822122026620d2e4ad40d9ec124123891c5bd1dbac9ada7f08d6068cc733fe0edb0c51f64736f6c634300081e0033",
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

// PackForceBlob is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x8aca9f1c.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function forceBlob(uint32 offset) returns(uint64 index)
func (inbox *Inbox) PackForceBlob(offset uint32) []byte {
	enc, err := inbox.abi.Pack("forceBlob", offset)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackForceBlob is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x8aca9f1c.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function forceBlob(uint32 offset) returns(uint64 index)
func (inbox *Inbox) TryPackForceBlob(offset uint32) ([]byte, error) {
	return inbox.abi.Pack("forceBlob", offset)
}

// UnpackForceBlob is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x8aca9f1c.
//
// Solidity: function forceBlob(uint32 offset) returns(uint64 index)
func (inbox *Inbox) UnpackForceBlob(data []byte) (uint64, error) {
	out, err := inbox.abi.Unpack("forceBlob", data)
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
