using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Native.Networks;

/// <summary>
/// What every TLS context of the static executable begins with. .NET offers no way to say it that keeps contexts, and with them session resumption,
/// from one connection to the next; so the linker sends OpenSSL's SSL_CTX_new here (<c>--wrap</c>, see the project file).
/// </summary>
internal static unsafe partial class OpenSslContexts
{
    // The order of RFC 8446, 9.1 (mandatory first). OpenSSL's own begins with AES-256 and SHA-384, which no processor has an instruction for.
    // Measured with bench/run.sh: CONNECT + TLS + a request 0.55 -> 0.52 CPU-seconds a thousand.
    private static readonly byte[] Suites = [.. "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256\0"u8];

    // TLS 1.2 towards servers: what OpenSSL itself offers, and with it curl and most programs. .NET leaves out all but ECDHE with AES-GCM or
    // AES-CBC with SHA-2, and thereby old servers, appliances and those that prefer ChaCha20.
    private static readonly byte[] ClientSuites = [.. "DEFAULT:!PSK:!SRP:@SECLEVEL=2\0"u8];

    // TLS 1.2 towards clients, all of which know these: forward secrecy always.
    private static readonly byte[] ServerSuites =
    [
        .. "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:"u8,
        .. "ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA256\0"u8,
    ];

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

    /// <summary>.NET's own list comes this way for every context.</summary>
    [UnmanagedCallersOnly(EntryPoint = "__wrap_SSL_CTX_set_cipher_list", CallConvs = [typeof(CallConvCdecl)])]
    private static int SetSuites(nint context, nint suites) => RealSetSuites(context, ClientSuites);

    /// <summary>Only a server's context has a certificate here.</summary>
    [UnmanagedCallersOnly(EntryPoint = "__wrap_SSL_CTX_use_certificate", CallConvs = [typeof(CallConvCdecl)])]
    private static int UseCertificate(nint context, nint certificate)
    {
        _ = RealSetSuites(context, ServerSuites);
        return RealUseCertificate(context, certificate);
    }

    [LibraryImport("libssl", EntryPoint = "__real_SSL_CTX_new")]
    private static partial nint RealNew(nint method);

    [LibraryImport("libssl", EntryPoint = "__real_SSL_CTX_set_cipher_list")]
    private static partial int RealSetSuites(nint context, byte[] suites);

    [LibraryImport("libssl", EntryPoint = "__real_SSL_CTX_use_certificate")]
    private static partial int RealUseCertificate(nint context, nint certificate);

    [LibraryImport("libssl", EntryPoint = "SSL_CTX_set_ciphersuites")]
    private static partial int SetCipherSuites(nint context, byte[] suites);

    [LibraryImport("libssl", EntryPoint = "SSL_CTX_ctrl")]
    private static partial nint Control(nint context, int command, nint value, nint pointer);
}
