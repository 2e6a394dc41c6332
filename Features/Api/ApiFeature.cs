using System.Net;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Discobot.Infrastructure;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Discobot.Features.Api;

/// <summary>The REST API on its own port (17081). Its branch is chosen by the listener, before routing: a proxied request for
/// <c>/health</c> of some host can never end here.</summary>
internal static class ApiFeature
{
    /// <summary>Registers the token that changes are protected by.</summary>
    public static IServiceCollection AddApi(this IServiceCollection services, ApiOptions options) => services
        .AddSingleton(options)
        .AddSingleton<ApiToken>()
        .AddSingleton<LoginCodes>();

    public static void ListenForApi(this KestrelServerOptions kestrel, IEnumerable<IPEndPoint> addresses)
    {
        foreach (var address in addresses)
        {
            kestrel.Listen(address, listen => listen.Use(next => connection =>
            {
                connection.Features.Set(ApiListener.Instance);
                return next(connection);
            }));
        }
    }

    /// <summary>Sends requests of the API's listener to <paramref name="map"/>'s endpoints, and nothing else.</summary>
    public static IApplicationBuilder UseApi(this WebApplication app, Action<IEndpointRouteBuilder> map) =>
        app.UseWhen(context => context.Features.Get<ApiListener>() is not null, api =>
        {
            api.UseMiddleware<ApiGuard>();
            api.UseMiddleware<ApiAuthorization>();
            api.UseRouting();
            api.UseEndpoints(map);
            api.Run(context => ApiErrors.WriteAsync(context, StatusCodes.Status404NotFound, $"nothing is at {context.Request.Path}"));
        });

    /// <summary><c>GET /health</c>: ok once both ports serve, 503 before and while stopping.</summary>
    public static void MapHealth(this IEndpointRouteBuilder endpoints, string caCertificate)
    {
        var lifetime = endpoints.ServiceProvider.GetRequiredService<IHostApplicationLifetime>();
        RequestDelegate answer = context =>
        {
            var serves = lifetime.ApplicationStarted.IsCancellationRequested && !lifetime.ApplicationStopping.IsCancellationRequested;
            context.Response.StatusCode = serves ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
            return context.Response.WriteAsJsonAsync(
                new Health(serves ? "ok" : "starting", caCertificate, Environment.ProcessId, Environment.GetEnvironmentVariable(StartToken.Variable)), ApiJson.Readable.Health);
        };
        endpoints.MapGet("/health", answer);
    }

    private sealed class ApiListener
    {
        public static readonly ApiListener Instance = new();
    }
}

/// <param name="Status"><c>ok</c> or <c>starting</c>.</param>
/// <param name="CaCert">Where the authority's certificate is.</param>
/// <param name="Pid">The proxy's, in its own numbers.</param>
/// <param name="StartToken">So that whoever started it knows that it is this one that answers; null when nobody asked for that.</param>
internal sealed record Health(string Status, string CaCert, int Pid, string? StartToken);

internal sealed record ApiError(string Error);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Health))]
[JsonSerializable(typeof(ApiError))]
[JsonSerializable(typeof(ConfigRefusal))]
[JsonSerializable(typeof(IReadOnlyList<ConfigMistake>))]
[JsonSerializable(typeof(LoginCode))]
[JsonSerializable(typeof(LoginToken))]
[JsonSerializable(typeof(Explanation))]
[JsonSerializable(typeof(TransparentExplanation))]
[JsonSerializable(typeof(JsonElement))]
[JsonSerializable(typeof(IReadOnlyList<DoctorFinding>))]
internal sealed partial class ApiJson : JsonSerializerContext
{
    /// <summary>For people in terminals: quotes as \", not as \u0022. Nothing of it ends up inside HTML.</summary>
    public static ApiJson Readable =>
        field ??= new(new JsonSerializerOptions(Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
