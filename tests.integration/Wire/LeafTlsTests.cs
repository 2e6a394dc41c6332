using System.Text.Json;
using Discobot.Integration.Fixtures;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Containers;

namespace Discobot.Integration.Wire;

/// <summary>What scanners of TLS find on the leg on which the proxy is the server.</summary>
[Collection("network")]
public sealed class LeafTlsTests(NetworkFixture fixture) : IAsyncLifetime
{
    private const string Authority = "/proxy-ca.crt";
    private IContainer? _scanner;

    // The scanners know servers only: each of their connections becomes a tunnel to leaf.test, and nothing else answers to that name.
    public async Task InitializeAsync()
    {
        _scanner = Engine.Container(Engine.Tools)
            .WithEntrypoint("socat", "TCP-LISTEN:443,fork,reuseaddr", "PROXY:proxy:leaf.test:443,proxyport=17080")
            .WithNetwork(fixture.Network).WithNetworkAliases("scanner")
            .WithResourceMapping(await fixture.Proxy.ReadAuthorityAsync(), Authority)
            .Build();
        await _scanner.StartAsync();
    }

    public async Task DisposeAsync() => await _scanner!.DisposeAsync();

    [Fact]
    public async Task Testssl_finds_nothing_above_low()
    {
        // Protocols, ciphers, preferences, certificate, forward secrecy, vulnerabilities. The exit code counts findings.
        await _scanner!.ExecAsync(["testssl", "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none", "--ip", "127.0.0.1", "-p", "-s", "-P",
            "-S", "-f", "-U", "--add-ca", Authority, "--jsonfile", "/found.json", "leaf.test:443"]);
        using var report = JsonDocument.Parse(await _scanner.RunAsync("cat", "/found.json"));
        var findings = report.RootElement.EnumerateArray()
            .Select(f => (Id: Text(f, "id"), Severity: Text(f, "severity"), Finding: Text(f, "finding"))).ToList();

        // It really looked: protocols, the leaf and its chain, and the last of the vulnerabilities.
        Assert.Contains(findings, f => f is { Id: "TLS1_3", Severity: "OK" });
        Assert.Contains(findings, f => f.Id == "cert_subjectAltName" && f.Finding.Contains("leaf.test", StringComparison.Ordinal));
        Assert.Contains(findings, f => f is { Id: "cert_chain_of_trust", Severity: "OK" });
        Assert.Contains(findings, f => f is { Id: "RC4", Severity: "OK" });
        Assert.DoesNotContain(findings, f => f.Severity is "MEDIUM" or "HIGH" or "CRITICAL" or "FATAL");
    }

    [Fact]
    public async Task Sslscan_sees_no_old_protocol_and_no_weak_cipher()
    {
        var seen = await _scanner!.RunAsync("sslscan", "--no-colour", "--sni-name=leaf.test", "127.0.0.1:443");
        string[] expected =
        [
            "SSLv2     disabled", "SSLv3     disabled", "TLSv1.0   disabled", "TLSv1.1   disabled", "TLSv1.2   enabled", "TLSv1.3   enabled",
            "Server supports TLS Fallback SCSV", "Session renegotiation not supported", "TLSv1.2 not vulnerable to heartbleed", "Altnames: DNS:leaf.test",
        ];
        Assert.All(expected, line => Assert.Contains(line, seen, StringComparison.Ordinal));
        var ciphers = seen.Split('\n').Where(l => l.StartsWith("Preferred", StringComparison.Ordinal) || l.StartsWith("Accepted", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(ciphers);
        Assert.All(ciphers, line => Assert.True(line.Contains("TLSv1.3") || line.Contains("ECDHE-ECDSA"), line));
        Assert.All(ciphers, line => Assert.Matches(@" (?:128|256) bits ", line));
        Assert.Matches("^Preferred TLSv1.3 .*TLS_AES_128_GCM_SHA256", ciphers[0]);
    }

    private static string Text(JsonElement finding, string name) => finding.GetProperty(name).GetString()!;
}
