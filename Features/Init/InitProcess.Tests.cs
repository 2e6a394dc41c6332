using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init;

/// <summary>The whole init as process 1, in namespaces.</summary>
public sealed class InitProcessTests : IDisposable
{
    private readonly Enclosure _inside = new();

    public void Dispose() => _inside.Dispose();

    [Fact]
    public async Task It_starts_and_ends_with_the_agents_code()
    {
        _inside.Agent("echo user $(id -u) in $(pwd -P); exit 7");
        Assert.True(await _inside.RunAsync() == 7, _inside.Output);
    }
}
