using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init.Session;

/// <summary>Whose the work is stands in a file of the volume's; an agent with another number is tested with the volume.</summary>
public sealed class AgentOwnerTests : IDisposable
{
    private const string Stamp = "/.data/.agent";
    private readonly Enclosure _inside = new();

    public void Dispose() => _inside.Dispose();

    [Theory]
    [InlineData("mkfifo")]
    [InlineData("mkdir")]
    [InlineData("ln -s /etc/passwd")]
    [InlineData("truncate -s 1G")]
    [InlineData("printf '0:x' >")]
    public async Task What_else_stands_in_its_place_is_as_good_as_nothing(string make)
    {
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        _inside.Prepare($"rm $2/.agent; {make} $2/.agent; chown 1001:1001 $2/discobot/workspace");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("belonged to user 1001, and discobot is 1000 in this image", _inside.Output, StringComparison.Ordinal);
    }

    /// <summary>A damaged disk says nothing of whose the work is: to guess could give it to somebody else.</summary>
    [Fact]
    public async Task What_cannot_be_read_is_told_and_nothing_is_given_away()
    {
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Equal("1000:1000\n", await File.ReadAllTextAsync(_inside.At(Stamp)));
        _inside.Prepare("chown 1001:1001 $2/discobot/workspace");
        // A regular file whose first byte cannot be read: nothing is mapped there.
        _inside.Before = "mount --bind /proc/self/mem .data/.agent";
        Assert.True(await _inside.RunAsync() == 1, _inside.Output);
        Assert.Contains("base home failed: ", _inside.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("belonged to user", _inside.Output, StringComparison.Ordinal);
    }
}
