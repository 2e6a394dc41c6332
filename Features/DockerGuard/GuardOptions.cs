using System.Text.Json;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.DockerGuard;

/// <summary>The <c>docker</c> section. It needs a restart.</summary>
internal sealed record GuardOptions
{
    /// <summary>Whether the agent's Docker socket is guarded; null (<c>auto</c>) is where egress is enforced.</summary>
    public bool? Guard { get; init; }

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    public static GuardOptions Read(ConfigNode section, GuardOptions? fallback = null)
    {
        fallback ??= new GuardOptions();
        return new GuardOptions { Guard = section["guard"].AsWord<bool?>(fallback.Guard, ("auto", null), ("on", true), ("off", false)) };
    }

    /// <summary>The section as JSON.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("guard", Guard switch { null => "auto", true => "on", false => "off" });
        json.WriteEndObject();
    }
}
