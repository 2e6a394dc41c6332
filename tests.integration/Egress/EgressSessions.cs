using System.Security.Cryptography;
using Discobot.Integration.Fixtures;
using Discobot.Integration.Init;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Containers;
using DotNet.Testcontainers.Networks;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Integration.Egress;

/// <summary>A network of both families with the world outside in it, and one enforced session for each distribution that several tests share.</summary>
public sealed class EgressSessions : IAsyncLifetime
{
    /// <summary>What an enforced session may reach. Nothing else is, of all that is outside.</summary>
    public const string Enforced =
        "egress:\n  mode: enforce\nallowlist:\n  enabled: true\n  allow_private: true\n  domains: [allowed.test, {host: allowed.test, ports: [5432]}, '*.allowed.test', packages.test, silent.test]\n";

    public const string Redirected = "egress:\n  mode: redirect\n";

    private readonly TestAuthority _authority = new();
    private readonly Dictionary<(string Image, bool UsesAllowed), Lazy<Task<SessionContainer>>> _shared;
    private INetwork? _network;
    private IContainer? _packages;
    private Outside? _outside;

    public EgressSessions() => _shared = new[] { (Distro.Debian, false), (Distro.Alpine, false), (Distro.Debian, true), (Distro.Alpine, true) }
        .ToDictionary(key => (key.Item1.Image, key.Item2), key => new Lazy<Task<SessionContainer>>(() => StartAsync(key.Item1, Enforced)));

    internal Outside Outside => _outside!;

    /// <summary>The shared session of a distribution, enforced, when it is up. Tests leave it as it is, and ask it for nothing that is allowed: an
    /// address that was answered for a name may be reached.</summary>
    internal Task<SessionContainer> OfAsync(Distro distro) => _shared[(distro.Image, false)].Value;

    /// <summary>The same for those who do.</summary>
    internal Task<SessionContainer> AllowedOfAsync(Distro distro) => _shared[(distro.Image, true)].Value;

    /// <summary>A session that is up.</summary>
    internal async Task<SessionContainer> StartAsync(Distro distro, string policy)
    {
        var session = New(distro, policy);
        await session.StartAsync();
        await session.SeeAsync("startup completed");
        return session;
    }

    /// <summary>A session whose way out is the world outside, not started yet.</summary>
    /// <param name="distro">Whose image, with more clients in it.</param>
    /// <param name="policy">The operator's.</param>
    /// <param name="docker">With the image's dockerd.</param>
    /// <param name="capabilities">Without NET_ADMIN it keeps the engine's way out.</param>
    internal SessionContainer New(Distro distro, string? policy, bool docker = false, IList<string>? capabilities = null)
    {
        var session = new SessionContainer(distro.ImageWithClients)
        {
            Network = _network,
            NameServers = [Outside.Address],
            Docker = docker,
            Capabilities = capabilities ?? ["SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_PTRACE", "MKNOD"],
        };
        session.Put("/upstream.crt", _authority.RootPem);
        session.Prepare($"{distro.Trust("/upstream.crt")}; mkdir -p /etc/discobot");
        if (policy is not null)
            session.Put("/etc/discobot/policy.yaml", policy + "tls:\n  extra_ca: [/upstream.crt]\n");
        if (capabilities is null)
            session.Prepare($"ip route del default; ip route add default via {Outside.Address}; ip -6 route del default; ip -6 route add 2001:db8::/32 dev eth0 || true");
        return session;
    }

    /// <summary>Runs an sh script as the agent's user, with what the agent itself may do, and no variable that tells of the proxy.</summary>
    internal static Task<string> AsAgentAsync(SessionContainer session, string script) => session.ExecAsync(
        "discobot", "exec", "--user", "discobot", "--drop-capabilities", "--no-new-privs", "--", "env", "-i", "HOME=/home/discobot",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-c", script);

    /// <summary>A network of both families.</summary>
    internal static async Task<INetwork> CreateNetworkAsync()
    {
        // Docker 20.10 has no addresses of its own for IPv6.
        var subnet = $"fd{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(1))}:{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(2))}::/64";
        var network = new NetworkBuilder().WithName($"discobot-{Guid.NewGuid():N}").WithLabel(Engine.Label, "1").WithLogger(NullLogger.Instance)
            .WithCreateParameterModifier(parameters =>
            {
                parameters.EnableIPv6 = true;
                parameters.IPAM = new() { Config = [new() { Subnet = subnet }] };
            })
            .Build();
        await network.CreateAsync();
        return network;
    }

    public async Task InitializeAsync()
    {
        _network = await CreateNetworkAsync();
        _outside = await Outside.StartAsync(_network, _authority);
        _packages = await PackageServer.StartAsync(_network, _authority);
    }

    public async Task DisposeAsync()
    {
        foreach (var session in _shared.Values.Where(s => s.IsValueCreated))
            await (await session.Value).DisposeAsync();
        if (_packages is not null)
            await _packages.DisposeAsync();
        if (_outside is not null)
            await _outside.DisposeAsync();
        if (_network is not null)
            await _network.DeleteAsync();
    }
}

[CollectionDefinition("egress")]
[System.Diagnostics.CodeAnalysis.SuppressMessage("Naming", "CA1711", Justification = "That is what xunit calls it.")]
public sealed class EgressCollection : ICollectionFixture<EgressSessions>;
