namespace Discobot.Infrastructure.Native.Files;

public sealed class ByteTextTests : IDisposable
{
    private readonly Spawner _spawner = new(Path.Combine(AppContext.BaseDirectory, "discobot"));

    public void Dispose() => _spawner.Dispose();

    /// <summary>UTF-8, Latin-1, halves of characters, surrogates and overlong forms that somebody encoded, the replacement character itself.</summary>
    [Theory]
    [InlineData("706C61696E203130302025", "plain 100 %")]
    [InlineData("C3A9E282ACF09F9880", "é€😀")]
    [InlineData("EFBFBD", "\uFFFD")]
    [InlineData("", "")]
    [InlineData("636166E9", null)]
    [InlineData("FFFE78C3", null)]
    [InlineData("EDA080", null)]
    [InlineData("C080F09F", null)]
    [InlineData("EDB2A9", null)]
    public void Every_byte_comes_through_as_text_and_escaped(string hex, string? text)
    {
        var bytes = Convert.FromHexString(hex);
        var decoded = ByteText.Decode(bytes);
        Assert.Equal([.. bytes, 0], ByteText.EncodeZeroTerminated(decoded));
        Assert.Equal([.. bytes, 0], ByteText.EncodeZeroTerminated(ByteText.Unescape(ByteText.Escape(decoded))));
        Assert.True(ByteText.IsText(ByteText.Escape(decoded)));
        Assert.Equal(text is not null, ByteText.IsText(decoded));
        if (text is not null)
            Assert.Equal(text, decoded);
    }

    /// <summary>In Latin-1, in halves of characters, with percent signs and line ends, and one that has the name of the carrier.</summary>
    [Fact]
    public async Task A_program_gets_environment_and_arguments_byte_for_byte()
    {
        var environment = new Dictionary<string, string>
        {
            ["PATH"] = "/usr/bin:/bin",
            ["LATIN"] = "caf\uDCE9 100%41\n=",
            ["N\uDCC4ME"] = "x",
            ["HALF"] = "\uDCF0\uDC9F",
            ["TEXT"] = "é%E9",
        };
        var said = "";
        var launch = new Launch("od", ["/bin/sh", "-c", "{ tr '\\0' '\\n' < /proc/$$/environ; printf '%s\\n' \"$@\"; } | od -An -v -tx1 | tr -d ' \\n'", "sh", "\uDCFF@file", "--help", "", "%41", "é"])
        {
            Environment = environment,
        };
        Assert.True((await new ToolRun(_spawner).RunAsync(launch, TimeSpan.FromSeconds(20), line => said += line, CancellationToken.None)).Succeeded);
        foreach (var expected in new[] { "LATIN=caf\uDCE9 100%41\n=\n", "N\uDCC4ME=x\n", "HALF=\uDCF0\uDC9F\n", "TEXT=é%E9\n", "\n\uDCFF@file\n--help\n\n%41\né\n" })
            Assert.Contains(Convert.ToHexStringLower(ByteText.EncodeZeroTerminated(expected).AsSpan()[..^1]), said, StringComparison.Ordinal);
        Assert.DoesNotContain(Convert.ToHexStringLower("DISCOBOT_EXEC"u8), said, StringComparison.Ordinal);
    }
}
