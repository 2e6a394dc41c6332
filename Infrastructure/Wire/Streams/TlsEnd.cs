using System.Net.Security;
using System.Runtime.CompilerServices;

namespace Discobot.Infrastructure.Wire.Streams;

/// <summary>The end of a direction, said in TLS (RFC 8446, 6.1).</summary>
internal static class TlsEnd
{
    /// <summary>Says it, also while somebody reads. Nobody writes meanwhile or afterwards.</summary>
    /// <remarks>OpenSSL wants one caller at a time. SslStream keeps who reads from who writes by its lock, which ShutdownAsync (as of .NET 10) forgets: while a
    /// session ticket is read it fails, and what arrives just then may be lost.</remarks>
    /// <exception cref="IOException">It could not be said, or had been.</exception>
    public static async Task SayAsync(SslStream tls)
    {
        try
        {
            await BeginAsync(tls);
        }
        catch (Exception e) when (e is not IOException)
        {
            // OpenSSL's own errors have types of their own.
            throw new IOException("the end could not be said in TLS", e);
        }
    }

    private static Task BeginAsync(SslStream tls)
    {
        object turn;
        try
        {
            turn = LockOf(tls);
        }
        catch (MissingMethodException)
        {
            // Another .NET, which calls it otherwise.
            return tls.ShutdownAsync();
        }

        lock (turn)
            return tls.ShutdownAsync();
    }

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get__handshakeLock")]
    private static extern object LockOf(SslStream tls);
}
