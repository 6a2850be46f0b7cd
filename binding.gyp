{
  "variables": {
    "sanitize%": 0,
    "node_addon_api%": "<!(node -p \"require('path').resolve(require('node-addon-api').include_dir)\")"
  },
  "targets": [
    {
      "target_name": "sockmux",
      "sources": [
        "native/addon.cc",
        "native/address.cc",
        "native/batch.cc",
        "native/buffers.cc",
        "native/descriptor.cc",
        "native/descriptor_passing.cc",
        "native/environment.cc",
        "native/errno_table.cc",
        "native/fd_table.cc",
        "native/file.cc",
        "native/hand_over.cc",
        "native/inflate.cc",
        "native/node_loop.cc",
        "native/option.cc",
        "native/poller.cc",
        "native/poller_epoll.cc",
        "native/poller_kqueue.cc",
        "native/poller_poll.cc",
        "native/readiness.cc",
        "native/resolver.cc",
        "native/sendfile.cc",
        "native/socket.cc",
        "native/socket_file.cc",
        "native/thread.cc",
        "native/transfer.cc",
        "native/wakeup.cc"
      ],
      "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS"],
      "cflags": ["-O2", "-Wall", "-Wextra", "-Wshadow", "-fvisibility=hidden"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-std=gnu++14"],
      "cflags_cc": ["-std=c++20", "-fno-exceptions", "-fvisibility=hidden", "-fvisibility-inlines-hidden", "-isystem<(node_addon_api)"],
      "xcode_settings": {
        "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
        "GCC_ENABLE_CPP_EXCEPTIONS": "NO",
        "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
        "GCC_OPTIMIZATION_LEVEL": "2",
        "WARNING_CFLAGS": ["-Wall", "-Wextra", "-Wshadow"],
        "MACOSX_DEPLOYMENT_TARGET": "11.0"
      },
      "conditions": [
        ["OS=='mac'", { "include_dirs": ["<(node_addon_api)"] }, { "ldflags": ["-Wl,-z,nodelete"] }],
        ["sanitize==1", {
          "cflags!": ["-O2", "-O3"],
          "cflags": ["-O1", "-g", "-fsanitize=address,undefined", "-fno-omit-frame-pointer"],
          "cflags_cc!": ["-fno-rtti"],
          "ldflags": ["-fsanitize=address,undefined"],
          "xcode_settings": {
            "GCC_OPTIMIZATION_LEVEL": "1",
            "OTHER_CFLAGS": ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g"],
            "OTHER_LDFLAGS": ["-fsanitize=address,undefined"]
          }
        }]
      ]
    },
    {
      "target_name": "sockmux_tls",
      "sources": [
        "native/tls_addon.cc",
        "native/tls_context.cc",
        "native/tls_credentials.cc",
        "native/tls_describe.cc",
        "native/tls_engine.cc",
        "native/tls_objects.cc",
        "native/tls_session.cc",
        "native/tls_verbs.cc",
        "native/tls_verify.cc"
      ],
      "defines": ["NAPI_VERSION=8"],
      "cflags": ["-O2", "-Wall", "-Wextra", "-Wshadow", "-fvisibility=hidden"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-std=gnu++14"],
      "cflags_cc": ["-std=c++20", "-fno-exceptions", "-fvisibility=hidden", "-fvisibility-inlines-hidden"],
      "xcode_settings": {
        "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
        "GCC_ENABLE_CPP_EXCEPTIONS": "NO",
        "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
        "GCC_OPTIMIZATION_LEVEL": "2",
        "WARNING_CFLAGS": ["-Wall", "-Wextra", "-Wshadow"],
        "MACOSX_DEPLOYMENT_TARGET": "11.0"
      },
      "conditions": [
        ["OS!='mac'", { "ldflags": ["-Wl,-z,nodelete,-z,now"] }],
        ["sanitize==1", {
          "cflags!": ["-O2", "-O3"],
          "cflags": ["-O1", "-g", "-fsanitize=address,undefined", "-fno-omit-frame-pointer"],
          "cflags_cc!": ["-fno-rtti"],
          "ldflags": ["-fsanitize=address,undefined"],
          "xcode_settings": {
            "GCC_OPTIMIZATION_LEVEL": "1",
            "OTHER_CFLAGS": ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g"],
            "OTHER_LDFLAGS": ["-fsanitize=address,undefined"]
          }
        }]
      ]
    }
  ]
}
