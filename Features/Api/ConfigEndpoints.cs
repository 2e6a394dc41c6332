using System.Text;
using Discobot.Features.Configuration;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Api;

/// <summary><c>/api/config</c>: shows what is in force, replaces or merges the allowlist and the headers.</summary>
internal static class ConfigEndpoints
{
    public static void MapConfiguration(this IEndpointRouteBuilder endpoints)
    {
        var configuration = endpoints.ServiceProvider.GetRequiredService<LiveConfiguration>();
        RequestDelegate show = context => ShowAsync(context, configuration.Running);
        RequestDelegate replace = context => ChangeAsync(context, configuration, merge: false);
        RequestDelegate merge = context => ChangeAsync(context, configuration, merge: true);
        var secrets = endpoints.ServiceProvider.GetRequiredService<MissingSecrets>();
        endpoints.MapGet("/api/config", show);
        RequestDelegate missing = async context => await context.Response.WriteAsJsonAsync(
            [.. (await secrets.FindAsync(context.RequestAborted)).Select(ConfigMistake.Of)], ApiJson.Readable.IReadOnlyListConfigMistake, cancellationToken: context.RequestAborted);
        endpoints.MapGet("/api/config/missing", missing);
        endpoints.MapPost("/api/config", replace);
        endpoints.MapPatch("/api/config", merge);
    }

    private static Task ShowAsync(HttpContext context, ProxySettings settings)
    {
        context.Response.ContentType = "application/json; charset=utf-8";
        return context.Response.WriteAsync(SettingsJson.ToText(settings), Encoding.UTF8, context.RequestAborted);
    }

    private static async Task ChangeAsync(HttpContext context, LiveConfiguration configuration, bool merge)
    {
        // A form that a web page posts without asking has another type.
        if (!context.Request.HasJsonContentType())
        {
            await ApiErrors.WriteAsync(context, StatusCodes.Status415UnsupportedMediaType, "the body must be application/json");
            return;
        }

        var body = new byte[ConfigDocument.MaxBytes + 1];
        var length = await context.Request.Body.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, context.RequestAborted);
        if (length > ConfigDocument.MaxBytes)
        {
            await ApiErrors.WriteAsync(context, StatusCodes.Status413PayloadTooLarge, "the body is larger than 1 MiB");
            return;
        }

        var result = configuration.Apply(body.AsSpan(0, length), merge);
        if (result.IsValid)
        {
            await ShowAsync(context, result.Value);
            return;
        }

        context.Response.StatusCode = StatusCodes.Status400BadRequest;
        await context.Response.WriteAsJsonAsync(
            new ConfigRefusal("nothing was changed", [.. result.Errors.Select(e => e.ToString())]), ApiJson.Readable.ConfigRefusal);
    }
}

/// <param name="Line">From 1; left out where the source has no lines.</param>
/// <param name="Column">From 1, in characters.</param>
/// <param name="Key">The key's path; empty when the file as a whole is meant.</param>
internal sealed record ConfigMistake(string File, int? Line, int? Column, string Key, string Message)
{
    public static ConfigMistake Of(ConfigError error) => new(
        error.Place.Source, error.Place.Line > 0 ? error.Place.Line : null, error.Place.Line > 0 ? error.Place.Column : null, error.Path, error.Message);

    public override string ToString() => new ConfigError(new ConfigPlace(File, Line ?? 0, Column ?? 0), Key, Message).ToString();
}

/// <param name="Errors">Every mistake with its place in the body.</param>
internal sealed record ConfigRefusal(string Error, IReadOnlyList<string> Errors);
