using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Native;

/// <summary>
/// What every TLS context of the static executable begins with. .NET offers no way to say it that keeps contexts, and with them session resumption,
/// from one connection to the next; so the linker sends OpenSSL's SSL_CTX_new here (<c>--wrap</c>, see the project file).
/// </summary>
internal static unsafe partial class OpenSslContexts
{
    // The order of RFC 8446, 9.1 (mandatory first). OpenSSL's own begins with AES-256 and SHA-384, which no processor has an instruction for.
    // Measured with bench/run.sh: CONNECT + TLS + a request 0.55 -> 0.52 CPU-seconds a thousand.
    private static readonly byte[] Suites = [.. "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256\0"u8];

    private const int SetMode = 33;

    // SSL_MODE_RELEASE_BUFFERS: an idle connection keeps no record buffers, see SSL_CTX_set_mode(3). Idle WebSockets take 49 KiB instead of 61.
    private const int ReleaseBuffers = 0x10;

    [UnmanagedCallersOnly(EntryPoint = "__wrap_SSL_CTX_new", CallConvs = [typeof(CallConvCdecl)])]
    private static nint New(nint method)
    {
        var context = RealNew(method);
        if (context != 0)
        {
            _ = SetCipherSuites(context, Suites);
            _ = Control(context, SetMode, ReleaseBuffers, 0);
        }

        return context;
    }

    [LibraryImport("libssl", EntryPoint = "__real_SSL_CTX_new")]
    private static partial nint RealNew(nint method);

    [LibraryImport("libssl", EntryPoint = "SSL_CTX_set_ciphersuites")]
    private static partial int SetCipherSuites(nint context, byte[] suites);

    [LibraryImport("libssl", EntryPoint = "SSL_CTX_ctrl")]
    private static partial nint Control(nint context, int command, nint value, nint pointer);
}
