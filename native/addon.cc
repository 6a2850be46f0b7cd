// The export table, and the only place that registers anything. Every environment that loads the
// addon (the main thread, each worker, a second load) gets a state of its own, which is the
// callback data of all its functions. What is done once goes through node-addon-api; verbs are raw
// Node-API callbacks, since the wrapper's CallbackInfo would cost more than the crossing itself.
#include <napi.h>

#if defined(__APPLE__)
#include <dlfcn.h>
#endif

#include "environment.h"
#include "verbs.h"

namespace sockmux {

namespace {

constexpr struct {
  const char* name;
  Verb* verb;
} kVerbs[] = {
    {"allocate", Allocate},
    {"release", Release},
    {"generation", Generation},
    {"adopt", Adopt},
    {"disown", Disown},
    {"close", Close},
    {"pipe", Pipe},
    {"socketPair", SocketPair},
    {"socket", Socket},
    {"setOption", SetOption},
    {"getOption", GetOption},
    {"bind", Bind},
    {"bindToDevice", BindToDevice},
    {"listen", Listen},
    {"accept", Accept},
    {"connect", Connect},
    {"localAddress", LocalAddress},
    {"peerAddress", PeerAddress},
    {"peerCredentials", PeerCredentials},
    {"setMode", SetMode},
    {"setPathMode", SetPathMode},
    {"fileIdentity", FileIdentity},
    {"unlink", Unlink},
    {"lockFile", LockFile},
    {"recv", Recv},
    {"peek", Peek},
    {"send", Send},
    {"sendBytes", SendBytes},
    {"sendPieces", SendPieces},
    {"read", Read},
    {"write", Write},
    {"writev", Writev},
    {"openFile", OpenFile},
    {"fileStatus", FileStatus},
    {"readFile", ReadFile},
    {"sendfile", SendFile},
    {"readBatch", ReadBatch},
    {"writeBatch", WriteBatch},
    {"recvBatch", RecvBatch},
    {"sendBatch", SendBatch},
    {"shutdownWrite", ShutdownWrite},
    {"poll", Poll},
    {"descriptorLimit", DescriptorLimit},
    {"openWakeup", OpenWakeup},
    {"wake", Wake},
    {"clearWakeup", ClearWakeup},
    {"pollerOpen", PollerOpen},
    {"pollerAdd", PollerAdd},
    {"pollerModify", PollerModify},
    {"pollerRemove", PollerRemove},
    {"pollerWait", PollerWait},
    {"pollerWakeup", PollerWakeup},
    {"pollerClose", PollerClose},
    {"resolverOpen", ResolverOpen},
    {"resolverLookup", ResolverLookup},
    {"resolverCancel", ResolverCancel},
    {"resolverCollect", ResolverCollect},
    {"resolverNext", ResolverNext},
    {"resolverAnnounce", ResolverAnnounce},
    {"resolverClose", ResolverClose},
    {"nodeLoopOpen", NodeLoopOpen},
    {"nodeLoopSetTimer", NodeLoopSetTimer},
    {"nodeLoopRef", NodeLoopRef},
    {"nodeLoopUnref", NodeLoopUnref},
    {"nodeLoopClose", NodeLoopClose},
    {"inflateKnows", InflateKnows},
    {"inflateOpen", InflateOpen},
    {"inflateRun", InflateRun},
    {"inflateReset", InflateReset},
    {"inflateClose", InflateClose},
    {"offer", Offer},
    {"claim", Claim},
    {"withdraw", Withdraw},
    {"share", Share},
    {"duplicate", Duplicate},
    {"sendDescriptors", SendDescriptors},
    {"receiveDescriptors", ReceiveDescriptors},
    {"setThreadNiceness", SetThreadNiceness},
    {"threadUrgency", ThreadUrgency},
    {"systemCalls", SystemCalls},
    {"ownedCount", OwnedCount},
};

// The descriptor table and the running lookups belong to the process; the worker that loaded the
// addon first must not take them with it when it ends. Elsewhere the linker is told (-z nodelete).
void StayLoaded() {
#if defined(__APPLE__)
  Dl_info library;
  if (dladdr(reinterpret_cast<void*>(&StayLoaded), &library) != 0) {
    dlopen(library.dli_fname, RTLD_NOW | RTLD_NODELETE);
  }
#endif
}

Napi::Object Initialize(Napi::Env env, Napi::Object exports) {
  StayLoaded();
  auto* state = new Environment(env);
  env.SetInstanceData(state);
  env.AddCleanupHook([state] { state->Close(); });
  for (const auto& entry : kVerbs) {
    napi_value function;
    napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, entry.verb, state, &function);
    exports.Set(entry.name, function);
  }
  exports.Set("errno", ErrnoTable(env));
  exports.Set("pollerBackends", PollerBackends(env));
  exports.Set("pollerFlags", PollerFlags(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(sockmux, Initialize)

}  // namespace sockmux
