using Xunit.Abstractions;

namespace Discobot.Integration.Fixtures;

/// <summary>A distribution whose image is tested; a stand-in says in its name that it is one.</summary>
public sealed class Distro : IXunitSerializable
{
    private string _name = "";

    /// <summary>The images that <c>make images</c> makes.</summary>
    public static TheoryData<Distro> All => [Debian, Alpine, Fedora];

    /// <summary>For what differs with the shell and the C library: a stand-in of Debian's programs would be the same once more.</summary>
    public static TheoryData<Distro> Shells => Fedora.StandIn.Length > 0 ? [Debian, Alpine] : All;

    /// <summary>For what is the same program on each of them and differs with the shell at most.</summary>
    public static Distro Debian { get; } = new() { _name = "debian" };

    /// <summary>BusyBox and musl. Made from the minimal root it has no trust tool, no git and no Docker; the stand-in has the tool.</summary>
    public static Distro Alpine { get; } = new() { _name = "alpine" };

    public static Distro Fedora { get; } = new() { _name = "fedora" };

    /// <summary>The image's tag.</summary>
    public string Name => _name;

    /// <summary>The shipped image.</summary>
    public string Image => $"discobot:{_name}";

    /// <summary>The same with more clients: Node.js, Java, Python's requests, wget, zsh, where they can be installed.</summary>
    public string ImageWithClients => $"discobot-test/{_name}";

    /// <summary>What takes the distribution's place; empty when it is the distribution itself.</summary>
    public string StandIn => Engine.LabelOf(Image, "discobot.stand-in");

    /// <summary>The shell command that makes the distribution itself trust a certificate, before anything of ours runs.</summary>
    public string Trust(string certificate) => _name switch
    {
        "debian" => $"cp {certificate} /usr/local/share/ca-certificates/ && update-ca-certificates >/dev/null",
        "fedora" => $"cp {certificate} /etc/pki/ca-trust/source/anchors/ && update-ca-trust extract",
        _ => $"if command -v update-ca-certificates; then cp {certificate} /usr/local/share/ca-certificates/ && update-ca-certificates; "
            + $"else cat {certificate} >> /etc/ssl/certs/ca-certificates.crt; fi",
    };

    public override string ToString() => StandIn.Length > 0 ? $"{_name} (a stand-in)" : _name;

    public void Deserialize(IXunitSerializationInfo info) => _name = info.GetValue<string>("name");

    public void Serialize(IXunitSerializationInfo info) => info.AddValue("name", _name);
}
