using System.CommandLine;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Discobot.Features.Api;
using Discobot.Features.Cache;
using Discobot.Features.Certificates;
using Discobot.Features.Init;
using Discobot.Features.TrustStore;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.CommandLine.Diagnosis;

/// <summary>Which proxy the doctor looks at, and what that one says of itself.</summary>
internal static class DoctorSubject
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    /// <exception cref="IOException">The proxy that is named does not answer, or the file that names it has mistakes.</exception>
    public static async Task<(ProxyState State, bool IsContainers)> FindAsync(RunningApi api, ParseResult parsed, CancellationToken cancellation)
    {
        if (!api.HasAddress(parsed))
        {
            var chosen = ChosenProxy.Find(api.Config(parsed));
            // Where the settings are another user's, so is the directory; the proxy that answers says which it is.
            return chosen.IsContainers || await CertDirectoryAsync(api, parsed, cancellation) is not { } directory
                ? (chosen.State, chosen.IsContainers) : (chosen.State with { CertDir = directory }, false);
        }

        var settings = await api.AskAsync(parsed, HttpMethod.Get, "/api/config", RunningApi.AnyJson, cancellation);
        var health = await api.AskAsync(parsed, HttpMethod.Get, "/health", ApiJson.Default.Health, cancellation);
        var address = api.Address(parsed);
        var at = IPAddress.TryParse(address.DnsSafeHost, out var literal) ? literal : (await Dns.GetHostAddressesAsync(address.DnsSafeHost, cancellation))[0];
        return (new ProxyState
        {
            Port = settings.GetProperty("proxy").GetProperty("port").GetInt32(),
            Api = new IPEndPoint(at, address.Port).ToString(),
            CertDir = Path.GetDirectoryName(health.CaCert) ?? "",
            LogFile = settings.GetProperty("logging").TryGetProperty("file", out var file) && file.ValueKind == JsonValueKind.String ? file.GetString() : null,
        }, false);
    }

    /// <summary>Whether nobody named a proxy, and process 1 is a `discobot init` that has told of none.</summary>
    public static bool IsUntold(RunningApi api, ParseResult parsed)
    {
        if (api.IsNamed(parsed) || ProxyState.Read(new ContainerPaths()) is not null)
            return false;
        try
        {
            return File.ReadAllText("/proc/1/cmdline").Split('\0') is [var program, "init", ..] && Path.GetFileName(program) == "discobot";
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static Task<string?> CertDirectoryAsync(RunningApi api, ParseResult parsed, CancellationToken cancellation) => TryAsync(
        async () => Path.GetDirectoryName((await api.AskAsync(parsed, HttpMethod.Get, "/health", ApiJson.Default.Health, cancellation)).CaCert), cancellation);

    /// <summary>A host that the allowlist names, so that there is something to fetch; null where it may not be asked or names none.</summary>
    public static Task<string?> FindHostAsync(RunningApi api, ParseResult parsed, CancellationToken cancellation) => TryAsync(
        async () => (await api.AskAsync(parsed, HttpMethod.Get, "/api/config", RunningApi.AnyJson, cancellation)).GetProperty("allowlist").GetProperty("domains").EnumerateArray()
            .Select(entry => entry.ValueKind == JsonValueKind.Object ? entry.GetProperty("host").GetString() : entry.GetString())
            .FirstOrDefault(host => host is not null && host.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-')), cancellation);

    /// <summary>The proxy's secrets that have no value, each with its place and key; null where it may not be asked.</summary>
    public static Task<IReadOnlyList<string>?> FindMissingAsync(RunningApi api, ParseResult parsed, CancellationToken cancellation) => TryAsync<IReadOnlyList<string>>(
        async () => [.. (await api.AskAsync(parsed, HttpMethod.Get, "/api/config/missing", ApiJson.Default.IReadOnlyListConfigMistake, cancellation)).Select(mistake => mistake.ToString())], cancellation);

    /// <summary>The directory that the proxy shares with others, and what is wrong with it; null where it shares none.</summary>
    public static async Task<SharedDirectory?> FindSharedAsync(RunningApi api, ParseResult parsed, CancellationToken cancellation) =>
        await TryAsync(async () => (await api.AskAsync(parsed, HttpMethod.Get, "/api/cache/stats", CacheJson.Default.CacheStatistics, cancellation)).SharedVolume, cancellation)
            is { } shared ? new SharedDirectory(shared.Path, shared.Problem) : null;

    /// <summary>Leaves what was found with the proxy, where people look at it. Who may not, does not.</summary>
    public static async Task LeaveAsync(RunningApi api, ParseResult parsed, string findings, CancellationToken cancellation)
    {
        using var content = new StringContent(findings, new MediaTypeHeaderValue("application/json"));
        await TryAsync<object>(async () => await api.AskAsync(parsed, HttpMethod.Put, DoctorEndpoint.Path, RunningApi.AnyJson, cancellation, content), cancellation);
    }

    // Null where nobody answers, or not this user.
    private static async Task<T?> TryAsync<T>(Func<Task<T?>> ask, CancellationToken cancellation)
        where T : class
    {
        try
        {
            return await ask();
        }
        catch (Exception error) when (error is HttpRequestException or IOException or JsonException or OperationCanceledException && !cancellation.IsCancellationRequested)
        {
            return null;
        }
    }

    /// <summary>What the proxy signs with, as it says itself; what its file holds where it does not answer. Null where there is none.</summary>
    public static async Task<(X509Certificate2? Authority, AuthorityPlace Found)> AuthorityAsync(ProxyState state, CancellationToken cancellation)
    {
        var kept = ReadFile(state);
        if (await ServedAuthority.AskAsync(new Uri($"http://{state.Api}"), Limit, cancellation) is not { } served)
            return (kept, kept is null ? AuthorityPlace.Nowhere : AuthorityPlace.Kept);
        using (kept)
            return (served, kept is null ? AuthorityPlace.Served : kept.Thumbprint == served.Thumbprint ? AuthorityPlace.ServedAndKept : AuthorityPlace.ServedAndOther);
    }

    /// <summary>What the machine says of it.</summary>
    public static SeenTrust Trust(ContainerPaths paths, SeenProxy proxy, X509Certificate2? authority, AuthorityPlace found)
    {
        var file = Path.Combine(proxy.State.CertDir, "ca.crt");
        if (authority is null)
            return new SeenTrust(false, $"no proxy answers at {proxy.State.Api} that shows its CA, and there is none in {proxy.State.CertDir}", null, file, found, static _ => false);
        try
        {
            var status = new SystemTrustStore(NullLogger.Instance).Status(authority);
            var own = status.Trusted || !(proxy.IsContainers || proxy.IsUntold) ? null : new ClientBundle(paths.Bundles).Find();
            return own is not null && BundleBlock.Holds(own, authority)
                ? new SeenTrust(true, $"{status.Message}; clients are pointed at {own}", own, file, found, Holds(authority))
                : new SeenTrust(status.Trusted, status.Message, status.Bundle, file, found, Holds(authority));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            return new SeenTrust(false, error.Message, null, file, found, Holds(authority));
        }
    }

    private static Func<string, bool> Holds(X509Certificate2 authority) => bundle =>
    {
        try
        {
            return BundleBlock.Holds(bundle, authority);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    };

    private static X509Certificate2? ReadFile(ProxyState state)
    {
        try
        {
            var file = Path.Combine(state.CertDir, "ca.crt");
            return File.Exists(file) ? CertificateAuthority.ReadCertificate(file) : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            return null;
        }
    }
}
