using System.CommandLine;
using System.Text.Json;
using Discobot.Features.Certificates;

namespace Discobot.Features.CommandLine.Commands;

public sealed class CaCommandTests : IDisposable
{
    private readonly CertificateFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public void Show_tells_where_the_CA_is_and_its_fingerprint()
    {
        using var authority = _fixture.Existing();
        var (code, output, _) = Run("show");
        Assert.Equal(0, code);
        Assert.Contains(authority.CertificatePath, output, StringComparison.Ordinal);
        Assert.Contains(authority.Fingerprint, output, StringComparison.Ordinal);
    }

    [Fact]
    public void Show_as_JSON_has_the_same_fields()
    {
        using var authority = _fixture.Existing();
        var (_, output, _) = Run("show", "--json");
        var json = JsonDocument.Parse(output).RootElement;
        Assert.Equal(authority.Fingerprint, json.GetProperty("sha256").GetString());
        Assert.Equal(authority.CertificatePath, json.GetProperty("path").GetString());
        Assert.False(json.TryGetProperty("kept", out _));
    }

    [Fact]
    public void Show_without_a_CA_says_so_and_fails()
    {
        var (code, output, error) = Run("show");
        Assert.Equal((1, ""), (code, output));
        Assert.Contains("there is no CA in", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Rotate_makes_a_new_CA_keeps_the_old_one_and_says_what_to_do_next()
    {
        using var old = _fixture.Existing();
        var (code, output, error) = Run("rotate", "--json");
        using var made = CertificateAuthority.Load(_fixture.CertDirectory, TimeProvider.System, out _);
        var json = JsonDocument.Parse(output).RootElement;
        Assert.Equal(0, code);
        Assert.NotEqual(old.Fingerprint, made!.Fingerprint);
        Assert.Equal(made.Fingerprint, json.GetProperty("sha256").GetString());
        Assert.All(json.GetProperty("kept").EnumerateArray(), kept => Assert.True(File.Exists(kept.GetString())));
        Assert.Contains("trust install", error, StringComparison.Ordinal);
    }

    private (int Code, string Output, string Error) Run(params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = CaCommand.Create().Parse([.. arguments, "--cert-dir", _fixture.CertDirectory])
            .Invoke(new InvocationConfiguration { Output = output, Error = error });
        return (code, output.ToString(), error.ToString());
    }
}
