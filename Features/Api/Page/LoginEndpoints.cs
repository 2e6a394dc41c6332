using System.Text.Json;

namespace Discobot.Features.Api.Page;

/// <summary>
/// <c>POST /api/login/codes</c>, with the token: a code that is good once. <c>POST /api/login</c>, without it: what the page gets for the code, which is the token.
/// </summary>
internal static class LoginEndpoints
{
    public const string Path = "/api/login";

    private const int MaxBody = 256;

    public static void MapLogin(this IEndpointRouteBuilder endpoints, ApiToken token)
    {
        var codes = endpoints.ServiceProvider.GetRequiredService<LoginCodes>();
        RequestDelegate make = context => SendAsync(context, new LoginCode(token.Text is null ? null : codes.Make()));
        RequestDelegate logIn = context => LogInAsync(context, codes, token);
        endpoints.MapPost($"{Path}/codes", make);
        endpoints.MapPost(Path, logIn);
    }

    /// <summary>Whether it is what the page asks for, which has the code alone.</summary>
    public static bool IsLogin(PathString path) => path.Equals(Path, StringComparison.Ordinal);

    private static async Task LogInAsync(HttpContext context, LoginCodes codes, ApiToken token)
    {
        // Pages of others can send no such thing unasked.
        if (!context.Request.HasJsonContentType())
        {
            await ApiErrors.WriteAsync(context, StatusCodes.Status415UnsupportedMediaType, "the body must be application/json");
            return;
        }

        var body = new byte[MaxBody + 1];
        var length = await context.Request.Body.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, context.RequestAborted);
        if (length <= MaxBody && CodeIn(body.AsSpan(0, length)) is { } code && codes.Take(code) && token.Text is { } text)
            await SendAsync(context, new LoginToken(text));
        else
            await ApiErrors.WriteAsync(context, StatusCodes.Status403Forbidden, "this code was used, or is too old; `discobot ui` makes another");
    }

    private static string? CodeIn(ReadOnlySpan<byte> body)
    {
        try
        {
            return JsonSerializer.Deserialize(body, ApiJson.Default.LoginCode)?.Code;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static Task SendAsync(HttpContext context, LoginCode code)
    {
        context.Response.Headers.CacheControl = "no-store";
        return context.Response.WriteAsJsonAsync(code, ApiJson.Readable.LoginCode);
    }

    private static Task SendAsync(HttpContext context, LoginToken token)
    {
        context.Response.Headers.CacheControl = "no-store";
        return context.Response.WriteAsJsonAsync(token, ApiJson.Readable.LoginToken);
    }
}

/// <param name="Code">Null where nothing needs the token.</param>
internal sealed record LoginCode(string? Code);

internal sealed record LoginToken(string Token);
