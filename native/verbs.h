// Every function that the addon exports, by the file that implements it. addon.cc gives them their
// JavaScript names.
#ifndef SOCKMUX_VERBS_H_
#define SOCKMUX_VERBS_H_

#include <napi.h>

namespace sockmux {

using Verb = napi_value(napi_env env, napi_callback_info info);

// buffers.cc
Verb Allocate, Release;
// descriptor.cc
Verb Generation, Adopt, Disown, Close, Pipe, SocketPair, Socket, DescriptorLimit, OpenWakeup, Wake,
    ClearWakeup;
// socket.cc
Verb Bind, BindToDevice, Listen, Accept, Connect, LocalAddress, PeerAddress, ShutdownWrite;
// socket_file.cc
Verb PeerCredentials, SetMode, SetPathMode, FileIdentity, Unlink, LockFile;
// option.cc
Verb SetOption, GetOption;
// transfer.cc
Verb Recv, Peek, Send, SendBytes, SendPieces, Read, Write, Writev;
// file.cc
Verb OpenFile, FileStatus, ReadFile;
// sendfile.cc
Verb SendFile;
// batch.cc
Verb ReadBatch, WriteBatch, RecvBatch, SendBatch;
// readiness.cc
Verb Poll;
// poller.cc
Verb PollerOpen, PollerAdd, PollerModify, PollerRemove, PollerWait, PollerWakeup, PollerClose;
// resolver.cc
Verb ResolverOpen, ResolverLookup, ResolverCancel, ResolverCollect, ResolverNext, ResolverAnnounce,
    ResolverClose;
// node_loop.cc
Verb NodeLoopOpen, NodeLoopSetTimer, NodeLoopRef, NodeLoopUnref, NodeLoopClose;
// inflate.cc
Verb InflateKnows, InflateOpen, InflateRun, InflateReset, InflateClose;
// hand_over.cc
Verb Offer, Claim, Withdraw, Share, Duplicate;
// descriptor_passing.cc
Verb SendDescriptors, ReceiveDescriptors;
// thread.cc
Verb SetThreadNiceness, ThreadUrgency;
// environment.cc
Verb SystemCalls, OwnedCount;

// { EPERM: 1, … } of this platform (errno_table.cc).
Napi::Object ErrnoTable(Napi::Env env);
// { epoll: flags, … }: the backends of this platform with the flags that each knows (poller.cc),
// best first.
Napi::Object PollerBackends(Napi::Env env);
// { edgeTriggered: 1, … } (poller.cc).
Napi::Object PollerFlags(Napi::Env env);

}  // namespace sockmux

#endif  // SOCKMUX_VERBS_H_
