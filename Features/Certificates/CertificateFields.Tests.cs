using System.Text.RegularExpressions;
using Snapshooter.Xunit;

namespace Discobot.Features.Certificates;

/// <summary>Every field of the certificates, as OpenSSL prints them; what differs from one to the next is masked.</summary>
public sealed partial class CertificateFieldsTests : IDisposable
{
    private readonly CertificateFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public void The_fields_of_the_CA()
    {
        using var authority = _fixture.Authority();
        Snapshot.Match(Print(authority.CertificatePath));
    }

    [Fact]
    public async Task The_fields_of_a_leaf()
    {
        using var authority = _fixture.Existing();
        using var leaves = new LeafCertificates(authority, _fixture);
        Snapshot.Match(Print(_fixture.Save("leaf.crt", await CertificateFixture.Leaf(leaves, "registry-1.docker.io"))));
    }

    private static string Print(string path)
    {
        var text = CertificateFixture.Run(
            "openssl", "x509", "-in", path, "-noout", "-text", "-certopt", "no_sigdump", "-nameopt", "sep_comma_plus_space,sname");
        text = HexPairs().Replace(text, "<bytes>");
        text = Dates().Replace(text, "$1: <time>");
        return string.Join('\n', text.Split('\n').Select(line => line.TrimEnd()));
    }

    // Also what runs over several lines: serials, keys, key identifiers.
    [GeneratedRegex("[0-9A-Fa-f]{2}(?::\\s*[0-9A-Fa-f]{2}){5,}")]
    private static partial Regex HexPairs();

    [GeneratedRegex("(Not (?:Before|After)) ?: .*GMT")]
    private static partial Regex Dates();
}
