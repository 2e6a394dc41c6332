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
        await container.SeeTrustSettledAsync();
        var first = await TrustAsync(container, "status");
        Assert.True(first.Trusted);
        Assert.Equal(await FamilyAsync(container, distro), first.Family);
        Assert.Contains($"the CA is trusted ({first.Family}): it is in {first.Bundle}\n", await container.OutputAsync(), StringComparison.Ordinal);
        Assert.StartsWith($"the CA is trusted ({first.Family}): it is in {first.Bundle}\nsha256  {first.Sha256}\n", await container.ExecAsync("discobot", "trust", "status"), StringComparison.Ordinal);

        var changed = await container.ShellAsync($"stat -c %Y {first.Bundle}");
        Assert.False((await TrustAsync(container, "install")).Changed);
        Assert.Equal(changed, await container.ShellAsync($"stat -c %Y {first.Bundle}"));

        await container.ExecAsync("discobot", "ca", "rotate");
        // Before the proxy signs with it, nothing is to trust it in place of the old one.
        Assert.Equal(1, (await container.TryAsync("discobot", "trust", "install")).Code);
        await container.SendAsync("TERM");
        await container.EndAsync();
        await container.StartAsync();
        await container.SeeTrustSettledAsync();
        var rotated = await TrustAsync(container, "install");
        Assert.True(rotated.Trusted && rotated.Sha256 != first.Sha256);
        Assert.Equal(1, await CountAsync(container, rotated.Bundle));

        var removed = await TrustAsync(container, "remove");
        Assert.True(removed is { Trusted: false, Changed: true });
        Assert.Equal(0, await CountAsync(container, rotated.Bundle));
        var (code, said) = await container.TryAsync("discobot", "trust", "status");
        Assert.True(code == 1 && said.StartsWith($"the CA is not trusted ({first.Family}): it is not in {first.Bundle}\n", StringComparison.Ordinal), said);
        Assert.False((await TrustAsync(container, "remove")).Changed);
        Assert.Equal("", await container.ShellAsync("find /etc /usr/local/share -name 'discobot-proxy-ca*'"));
    }

    // Made from the minimal root, Alpine has no tool: then its bundle gets the managed block.
    private static async Task<string> FamilyAsync(SessionContainer container, Distro distro) => distro.Image switch
    {
        "discobot:debian" => "Debian/Ubuntu",
        "discobot:fedora" => "Fedora/RHEL",
        _ => (await container.TryAsync("sh", "-c", "command -v update-ca-certificates")).Code == 0 ? "Alpine" : "no tool",
    };

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
