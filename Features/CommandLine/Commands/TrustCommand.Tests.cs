using System.CommandLine;
using System.Text.Json;
using Discobot.Features.Certificates;
using Discobot.Features.TrustStore;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.CommandLine.Commands;

public sealed class TrustCommandTests : IDisposable
{
    private readonly CertificateFixture _fixture = new();
    private readonly TrustTree _tree = new();

    public void Dispose()
    {
        _tree.Dispose();
        _fixture.Dispose();
    }

    [Fact]
    public async Task Install_status_and_remove_answer_in_words_and_by_exit_code()
    {
        using var authority = _fixture.Existing();
        _tree.AddBundle("etc/ssl/certs/ca-certificates.crt");
        Assert.Equal(1, (await Run("status")).Code);

        var (code, output, _) = await Run("install");
        Assert.Equal(0, code);
        Assert.Contains("the CA is trusted (no tool)", output, StringComparison.Ordinal);
        Assert.Contains(authority.Fingerprint, output, StringComparison.Ordinal);
        Assert.Equal(0, (await Run("status")).Code);

        Assert.Equal(0, (await Run("remove")).Code);
        Assert.Equal(1, (await Run("status")).Code);
    }

    [Fact]
    public async Task JSON_carries_what_the_words_say()
    {
        using var authority = _fixture.Existing();
        var bundle = _tree.AddBundle("etc/ssl/certs/ca-certificates.crt");
        var json = JsonDocument.Parse((await Run("install", "--json")).Output).RootElement;
        Assert.True(json.GetProperty("trusted").GetBoolean());
        Assert.True(json.GetProperty("changed").GetBoolean());
        Assert.Equal(bundle, json.GetProperty("bundle").GetString());
        Assert.Equal(authority.Fingerprint, json.GetProperty("sha256").GetString());
        Assert.Equal(JsonValueKind.Null, json.GetProperty("problem").ValueKind);
    }

    [Fact]
    public async Task The_tool_speaks_on_the_error_stream()
    {
        using var authority = _fixture.Existing();
        _tree.AddDirectory("usr/local/share/ca-certificates");
        _tree.AddTool("update-ca-certificates", "usr/local/share/ca-certificates", "etc/ssl/certs/ca-certificates.crt");
        var (code, output, error) = await Run("install");
        Assert.Equal((0, "update-ca-certificates: 1 added\n"), (code, error));
        Assert.Contains("discobot-proxy-ca.crt", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_store_that_cannot_take_the_CA_is_a_failure()
    {
        using var authority = _fixture.Existing();
        var (code, output, _) = await Run("install");
        Assert.Equal(1, code);
        Assert.Contains("not trusted", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_the_certificate_of_a_CA_is_ever_installed()
    {
        _tree.AddBundle("etc/ssl/certs/ca-certificates.crt");
        Assert.Contains("no CA", (await Run("install")).Error, StringComparison.Ordinal);

        using var authority = _fixture.Existing();
        using var leaves = new LeafCertificates(authority, _fixture);
        File.WriteAllText(_fixture.PathOf("ca.crt"), (await CertificateFixture.Leaf(leaves, "example.com")).ExportCertificatePem());
        var (code, _, error) = await Run("install");
        Assert.Equal(1, code);
        Assert.Contains("not the certificate of a CA", error, StringComparison.Ordinal);
        Assert.Equal(TrustTree.Base, File.ReadAllBytes(_tree.PathOf("etc/ssl/certs/ca-certificates.crt")));
    }

    private async Task<(int Code, string Output, string Error)> Run(params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await TrustCommand.Create(_tree.Root, Executable.Path).Parse([.. arguments, "--cert-dir", _fixture.CertDirectory])
            .InvokeAsync(new InvocationConfiguration { Output = output, Error = error });
        return (code, output.ToString(), error.ToString());
    }
}
