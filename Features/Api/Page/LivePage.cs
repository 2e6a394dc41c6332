namespace Discobot.Features.Api.Page;

/// <summary>
/// <c>GET /</c>: a page that shows what the API tells, and what it loads. It is the same for everybody and holds nothing of what passes: that it asks the
/// API for, by the API's rules of who may.
/// </summary>
internal static class LivePage
{
    // Only what comes from here is loaded, nothing is run that stands inside the page, and nobody shows it inside a page of theirs.
    private const string Policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    private static readonly (string Path, string Name, string Type)[] Files =
    [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/page.css", "page.css", "text/css; charset=utf-8"),
        ("/page.js", "page.js", "text/javascript; charset=utf-8"),
        ("/flows.js", "flows.js", "text/javascript; charset=utf-8"),
        ("/shared.js", "shared.js", "text/javascript; charset=utf-8"),
        ("/traffic.js", "traffic.js", "text/javascript; charset=utf-8"),
        ("/views.js", "views.js", "text/javascript; charset=utf-8"),
        ("/parts.js", "parts.js", "text/javascript; charset=utf-8"),
        ("/status.js", "status.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "icon.svg", "image/svg+xml"),
    ];

    /// <summary>Maps its files, unless <c>api.ui</c> is false, and what it asks that nobody else does.</summary>
    public static void MapPage(this IEndpointRouteBuilder endpoints, ApiOptions options)
    {
        endpoints.MapPolicy();
        endpoints.MapDoctor();
        if (!options.Ui)
            return;
        endpoints.MapLogin(endpoints.ServiceProvider.GetRequiredService<ApiToken>());
        foreach (var (path, name, type) in Files)
        {
            var content = Read(name);
            RequestDelegate send = context => SendAsync(context, content, type);
            endpoints.MapGet(path, send);
        }
    }

    /// <summary>Whether it is one of the page's own files.</summary>
    public static bool IsPartOf(PathString path) => Array.Exists(Files, file => path.Equals(file.Path, StringComparison.Ordinal));

    private static Task SendAsync(HttpContext context, byte[] content, string type)
    {
        var response = context.Response;
        response.ContentType = type;
        response.ContentLength = content.Length;
        response.Headers.ContentSecurityPolicy = Policy;
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers["Referrer-Policy"] = "no-referrer";
        response.Headers.CacheControl = "no-store";
        return response.Body.WriteAsync(content, context.RequestAborted).AsTask();
    }

    private static byte[] Read(string name)
    {
        using var resource = typeof(LivePage).Assembly.GetManifestResourceStream("page/" + name)!;
        var content = new byte[resource.Length];
        resource.ReadExactly(content);
        return content;
    }
}
