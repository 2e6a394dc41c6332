using System.Text.Json;
using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>The distribution's own trust store, by its own tool where it has one.</summary>
public sealed class TrustTests
{
    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task Install_is_read_back_and_not_repeated_rotation_replaces_and_removal_leaves_nothing(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        await container.StartAsync();
        await container.SeeAsync("startup completed");
        var first = await TrustAsync(container, "status");
        Assert.True(first.Trusted);
        Assert.Equal(distro.Image switch { "discobot:debian" => "Debian/Ubuntu", "discobot:fedora" => "Fedora/RHEL", _ => first.Family }, first.Family);

        var changed = await container.ShellAsync($"stat -c %Y {first.Bundle}");
        Assert.False((await TrustAsync(container, "install")).Changed);
        Assert.Equal(changed, await container.ShellAsync($"stat -c %Y {first.Bundle}"));

        await container.ExecAsync("discobot", "ca", "rotate");
        var rotated = await TrustAsync(container, "install");
        Assert.True(rotated is { Trusted: true, Changed: true } && rotated.Sha256 != first.Sha256);
        Assert.Equal(1, await CountAsync(container, rotated.Bundle));

        var removed = await TrustAsync(container, "remove");
        Assert.True(removed is { Trusted: false, Changed: true });
        Assert.Equal(0, await CountAsync(container, rotated.Bundle));
        Assert.Equal(1, (await container.TryAsync("discobot", "trust", "status")).Code);
        Assert.False((await TrustAsync(container, "remove")).Changed);
        Assert.Equal("", await container.ShellAsync("find /etc /usr/local/share -name 'discobot-proxy-ca*'"));
    }

    private static async Task<Report> TrustAsync(SessionContainer container, string verb)
    {
        // What the distribution's tool prints goes to standard error.
        var said = await container.ShellAsync($"discobot trust {verb} --json 2>/dev/null || true");
        return JsonSerializer.Deserialize<Report>(said, Names)!;
    }

    /// <summary>How many certificates of ours a bundle holds, told by the subject.</summary>
    private static async Task<int> CountAsync(SessionContainer container, string bundle)
    {
        var pem = await container.ReadAsync(bundle);
        var all = new System.Security.Cryptography.X509Certificates.X509Certificate2Collection();
        all.ImportFromPem(pem);
        return all.Count(c => c.Subject.Contains("Discobot Proxy CA", StringComparison.Ordinal));
    }

    private static readonly JsonSerializerOptions Names = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private sealed record Report(bool Trusted, bool Changed, string Family, string Bundle, string? Anchor, string? Sha256, string? Problem);
}
