using System.Net;
using System.Net.Sockets;

namespace Discobot.Features.Init.Checks;

/// <summary>What a check found.</summary>
/// <param name="Area">Step, port, config, trust or client.</param>
/// <param name="Name">What was looked at.</param>
/// <param name="Works">Null when there is nothing to check.</param>
/// <param name="Detail">What is so.</param>
/// <param name="Fix">What to do about it; null when it works.</param>
internal sealed record Finding(string Area, string Name, bool? Works, string Detail, string? Fix);

/// <summary>A directory that the proxy shares with others (<c>cache.shared</c>), and what is wrong with it.</summary>
internal sealed record SharedDirectory(string Path, string? Problem);

/// <summary>Looks at a running container, or at a proxy elsewhere, and says of each part whether it does what it is to do. Changes nothing.</summary>
/// <param name="seen">The container.</param>
/// <param name="proxy">The proxy it has to have.</param>
/// <param name="trust">Whether the authority is trusted.</param>
/// <param name="network">Asks the proxy itself.</param>
/// <param name="clients">Tries the clients of the image.</param>
/// <param name="egress">Tries to get out.</param>
/// <param name="missing">The proxy's secrets that have no value, each with its place and key; null where it may not be asked.</param>
/// <param name="shared">The directory of <c>cache.shared</c> and what is wrong with it; null where there is none.</param>
internal sealed class Doctor(
    SeenContainer seen, SeenProxy proxy, SeenTrust trust, DoctorNetwork network, DoctorClients clients, DoctorEgress egress,
    Func<CancellationToken, Task<IReadOnlyList<string>?>> missing, Func<CancellationToken, Task<SharedDirectory?>> shared)
{
    public const string Restart = "restart the container and read `docker logs` from its start";

    /// <summary>Runs every check.</summary>
    public async Task<IReadOnlyList<Finding>> RunAsync(CancellationToken cancellationToken)
    {
        // Elsewhere no start has left anything behind, and nothing of it can be missing.
        List<Finding> findings = proxy.IsContainers ? [.. Startup.Checks(seen)]
            : [proxy.IsUntold ? Untold() : new Finding("step", "all", null, "this is no container that `discobot init` started: its steps are not looked at", null)];
        var accepts = await PortAsync("proxy", new IPEndPoint(IPAddress.Loopback, proxy.State.Port), cancellationToken);
        findings.Add(accepts);
        findings.Add(await PortAsync("API", IPEndPoint.Parse(proxy.State.Api), cancellationToken));
        findings.Add(Secrets(await missing(cancellationToken)));
        if (await shared(cancellationToken) is { } directory)
            findings.Add(Shared(directory.Path, directory.Problem));
        findings.Add(new Finding("trust", "system", trust.Trusted, trust.Message, trust.Trusted ? null : trust.HowToMend(proxy)));
        findings.Add(Served());
        findings.Add(Java());
        // Beside no proxy there is nothing for a page to go through; a container is to have one, and what goes past it is told.
        if (proxy.IsContainers || accepts.Works == true)
        {
            findings.AddRange(await network.LookAsync(cancellationToken));
            findings.AddRange(await clients.TryAllAsync(cancellationToken));
        }

        if (proxy.IsContainers)
            findings.AddRange(await egress.TryAsync(cancellationToken));
        return findings;
    }

    private Finding Untold() => Mounts.IsReadOnlyAt(seen.Paths.Run)
        ? new Finding("step", "all", false, $"process 1 is `discobot init`, which could tell nothing of its start: {seen.Paths.Run} is read-only. Steps and egress are not looked at",
            "start the container with a /run that can be written: docker run --tmpfs /run")
        : new Finding("step", "all", false, $"process 1 is `discobot init`, and nothing in {seen.Paths.Run} tells of its start. Steps and egress are not looked at",
            "wait for `startup completed` in `docker logs`, which also say where that could not be written");

    private async Task<Finding> PortAsync(string name, IPEndPoint address, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(2));
        using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(address, limit.Token);
            return new Finding("port", name, true, $"{address} accepts", null);
        }
        catch (Exception error) when (error is SocketException or OperationCanceledException)
        {
            return new Finding("port", name, false, $"{address}: {error.Message}", proxy.IsContainers ? $"{proxy.ReadLog}; {proxy.Restart}" : proxy.Restart);
        }
    }

    private Finding Secrets(IReadOnlyList<string>? without) => without switch
    {
        null => new Finding("config", "secrets", null, "the proxy does not tell of its configuration here", null),
        [] => new Finding("config", "secrets", true, "every variable and file that the configuration takes a value from has one", null),
        _ => new Finding("config", "secrets", false, string.Join("; ", without),
            $"give the proxy what is missing: {(proxy.IsContainers ? "start the container again with the variable (-e NAME) or the file" : "start it again with the variable, or put the file there")}"),
    };

    private static Finding Shared(string directory, string? problem) => problem is null
        ? new Finding("config", "cache.shared", true, $"{directory} is read and written", null)
        : new Finding("config", "cache.shared", false, $"the proxy goes on alone: {problem}", $"mount {directory}, let the proxy's user write there, and keep cache.shared_max_size below its size");

    private Finding Served() => trust.Found switch
    {
        AuthorityPlace.ServedAndOther => new Finding("trust", "served", false, $"the proxy goes on with the CA that it began with; {trust.File} holds another", proxy.TakeNewAuthority),
        AuthorityPlace.ServedAndKept => new Finding("trust", "served", true, $"the proxy signs with {trust.File}", null),
        AuthorityPlace.Served => new Finding("trust", "served", true, $"the proxy signs with the CA that http://{proxy.State.Api}/ca.crt shows; {trust.File} is not there for this user", null),
        AuthorityPlace.Kept => new Finding("trust", "served", null, $"not asked: no proxy answers at {proxy.State.Api}; one that starts takes {trust.File}", null),
        _ => new Finding("trust", "served", null, $"not asked: no proxy answers at {proxy.State.Api}", null),
    };

    // Made at the start, where there was a Java then.
    private Finding Java() => !proxy.IsContainers ? new Finding("trust", "java", null, "java's own key store is not looked at here", null)
        : File.Exists(seen.Paths.JavaTrustStore) ? new Finding("trust", "java", true, seen.Paths.JavaTrustStore, null)
        : new Finding("trust", "java", null, "no Java in this image at its start", null);
}
