using System.Text.Json;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Init;

/// <summary>The <c>init</c> section: what the start of a container does beyond the proxy. Read once at the start.</summary>
internal sealed record InitOptions
{
    /// <summary>Clients that ignore the system's trust store are pointed at the bundle by their own variables.</summary>
    public bool ExtraEnvironment { get; init; } = true;

    /// <summary>Containers that the agent starts get the proxy and the authority as well.</summary>
    public bool NestedDocker { get; init; } = true;

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    public static InitOptions Read(ConfigNode section, InitOptions? fallback = null)
    {
        fallback ??= new InitOptions();
        return new InitOptions
        {
            ExtraEnvironment = section["extra_env"].AsBool(fallback.ExtraEnvironment),
            NestedDocker = section["nested_docker"].AsBool(fallback.NestedDocker),
        };
    }

    /// <summary>The section as JSON.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteBoolean("extra_env", ExtraEnvironment);
        json.WriteBoolean("nested_docker", NestedDocker);
        json.WriteEndObject();
    }
}
