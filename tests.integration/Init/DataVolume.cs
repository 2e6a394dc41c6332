using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>A volume that outlives the containers it is mounted in.</summary>
internal sealed class DataVolume : IAsyncDisposable
{
    public string Name { get; } = $"discobot-{Guid.NewGuid():N}";

    public static async Task<DataVolume> CreateAsync()
    {
        var volume = new DataVolume();
        await Engine.DockerAsync("volume", "create", "--label", Engine.Label, volume.Name);
        return volume;
    }

    public async ValueTask DisposeAsync() => await Engine.DockerAsync("volume", "rm", Name);
}
